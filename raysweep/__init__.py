"""raysweep: ablations and hyperparameter sweeps for facial expression recognition with noisy labels."""

__version__ = "0.1.0"
