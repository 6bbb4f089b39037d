"""Whether the nodes of a cluster can work for a launch: their versions, store, data sets and disk."""
