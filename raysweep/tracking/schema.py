"""Names of MLflow tags, metrics and artifacts, for writing runs and for reports."""

KIND = "raysweep.kind"  # "launch", "cell", "arm" (means over cells), "trial" (of a search), "training" (shared)
TITLE = "raysweep.title"  # title of a shared training, such as "M_A"
STUDY = "raysweep.study"
LAUNCH = "raysweep.launch"
ARM = "raysweep.arm"
COORDINATES = "raysweep.coordinates"  # JSON object, axis name to level
REPLICATE = "raysweep.replicate"
KEY = "raysweep.key"
IDENTITY = "raysweep.identity"  # digest of the tags that identify a run
STATE = "raysweep.state"  # "running", "complete", "failed" or "stopped"; of a trial also "pruned"
CAUSE = "raysweep.cause"  # why a cell or a trial failed
SHARED_EPOCHS = "raysweep.shared_epochs"  # epochs of a cell's curve that its own task did not train: "1-8,11"
ATTEMPTS = "raysweep.attempts"  # launches that began this cell's own task, separated by commas
PROCESS = "raysweep.process"  # process of a launch, as `store.process.Process` writes it
SEEN_ALIVE = "raysweep.seen_alive"  # last heartbeat of a launch, ms since 1970
SEARCH = "raysweep.search"  # Optuna study of a trial
TRIAL = "raysweep.trial"  # number of a trial in its Optuna study
POINT = "raysweep.point"  # JSON object, field path to value of a trial
DEGENERATE = "raysweep.degenerate"  # "true" when the model predicts one class only
PRESET = "raysweep.preset"
CODE_VERSION = "raysweep.code_version"
DATA = "raysweep.data"
DATA_FINGERPRINT = "raysweep.data_fingerprint"
DATA_SOURCE = "raysweep.data_source"  # name or path that the scored data set was read from
DATA_FIELDS = (
    "raysweep.data_fields"  # JSON object: fields of `data` that differ from their defaults, without the source
)
EXTRAS = "raysweep.extras"  # JSON list of the other data sets, each with name, fingerprint and source
STUDY_CONTENT = "raysweep.study_content"  # digest of the study's contents
STUDY_FILE = "raysweep.study_file"
NOISE_HASH = "raysweep.noise_hash"
WEIGHTS_HASH = "raysweep.weights_hash"
DEVICE = "raysweep.device"
HOST = "raysweep.host"  # machine that computed a cell's scores
VERSIONS = "raysweep.versions"  # JSON object: versions of Python and libraries that computed a cell's scores
PICTURES = "raysweep.pictures"  # why a cell's pictures could not be drawn
LABEL_NOTES = "raysweep.label_notes"  # JSON list of sentences on how the labels were made

CELLS = "raysweep.cells"  # of an arm: how many of its planned cells are complete, "4 of 5"

PARENT_RUN = "mlflow.parentRunId"
RUN_NAME = "mlflow.runName"

PLAN_FILE = "plan.json"
CONFIG_FILE = "config.json"  # of a cell, beside the files of its result (`CellResult.FILES`)

CURVE = "train/loss"  # every epoch has it: its last step is the last epoch that arrived
SEARCH_SECONDS = "search/seconds"  # device-seconds of a trial

MAX_PARAM_LENGTH = 6000
MAX_NOTES_LENGTH = 4000
MAX_EXTRAS_LENGTH = 4000
MAX_PARAMS_A_BATCH = 100
MAX_METRICS_A_BATCH = 1000
MOST_RUNS = 1000
