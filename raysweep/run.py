"""`python -m raysweep.run`: see `raysweep.cli.run`."""

from raysweep.cli.arguments import leave
from raysweep.cli.run import main

if __name__ == "__main__":
    leave(main())
