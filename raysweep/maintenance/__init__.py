"""What a store holds, which launches live on it, and what can go (`--status`, `--gc`). Knows no ray and no mlflow."""

from .gc import Collection, collect
from .status import Status, status

__all__ = ["Collection", "Status", "collect", "status"]
