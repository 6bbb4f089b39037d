"""`python -m raysweep.data`: see `raysweep.cli.data`."""

from raysweep.cli.arguments import leave
from raysweep.cli.data import main

if __name__ == "__main__":
    leave(main())
