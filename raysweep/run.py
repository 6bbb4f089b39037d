"""`python -m raysweep.run`: see `raysweep.cli.run`."""

from raysweep.cli.run import main
from raysweep.core.formatting import leave

if __name__ == "__main__":
    leave(main())
