"""raysweep: ablations and hyperparameter sweeps for facial expression recognition with noisy labels."""

import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # MLflow reads it when it is imported, wherever that may be

__version__ = "0.1.0"
