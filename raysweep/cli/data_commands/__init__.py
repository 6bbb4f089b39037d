"""Commands of `python -m raysweep.data`. Each gives the lines to print; `__main__` prints them."""
