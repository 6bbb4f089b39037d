"""Commands: `raysweep run`, `report` and `data`."""
