"""Running tasks and searches under Ray Tune and Ray Train.

Only this package imports Ray. This file imports nothing, so that training processes do not wait for MLflow.

It sets variables that Ray reads when it is imported or started, in the driver and in every trial's process.
"""

import os

for _name, _value in {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "RAY_AIR_NEW_OUTPUT": "0",  # Tune's banner; ours is in progress.py
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # launches resume from the store, not from Tune
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # A stopped trial may still be busy when the next one takes over its process; after Ray's default of 2 s the next
    # trial would be lost silently.
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "60",
}.items():
    os.environ.setdefault(_name, _value)
