"""`python -m raysweep.report`: see `raysweep.cli.report`."""

from raysweep.cli.arguments import leave
from raysweep.cli.report import main

if __name__ == "__main__":
    leave(main())
