"""Launches on a Slurm cluster: scripts for sbatch, and their submission."""

from .request import SlurmRequest
from .scripts import Scripts, make_scripts
from .submission import Submitted, check_sbatch, submit

__all__ = ["Scripts", "SlurmRequest", "Submitted", "check_sbatch", "make_scripts", "submit"]
