"""`python -m raysweep.report`: see `raysweep.cli.report`."""

from raysweep.cli.report import main
from raysweep.core.formatting import leave

if __name__ == "__main__":
    leave(main())
