"""Commands of `python -m raysweep.data`. Each returns lines, which `cli.data` prints."""
