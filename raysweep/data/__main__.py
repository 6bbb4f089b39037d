"""`python -m raysweep.data`: see `raysweep.cli.data`."""

from raysweep.cli.data import main
from raysweep.core.formatting import leave

if __name__ == "__main__":
    leave(main())
