"""Contents of a store, running launches, and unreferenced files (`--status`, `--gc`). Needs neither ray nor mlflow."""

from .gc import Collection, collect
from .status import Status, status

__all__ = ["Collection", "Status", "collect", "status"]
