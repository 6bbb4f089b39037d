"""Running tasks and searches under Ray Tune and Ray Train.

Ray is imported in this package alone, and nothing is imported here: every process that trains imports it, and must
not wait for MLflow.

Ray reads these variables when it is imported or started, in the driver and in every trial's process, all of which
import this package first.
"""

import os

for _name, _value in {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "RAY_AIR_NEW_OUTPUT": "0",  # Tune's banner; ours is in progress.py
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # the store is what resumes a launch, not Tune
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # A trial that is stopped may still be busy when the next one asks for its process; after Ray's 2 s that one would
    # be lost without a word.
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "60",
}.items():
    os.environ.setdefault(_name, _value)
