"""Every cell becomes an MLflow run. Only the driver writes; the journal on disk comes first, the server second."""

from .journal import Journal
from .publisher import Publisher, adopt_journals
from .server import connect, ui_command
from .writer import Writer

__all__ = ["Journal", "Publisher", "Writer", "adopt_journals", "connect", "ui_command"]
