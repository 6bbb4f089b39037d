"""`--doctor`: whether a launch would work, on this machine and on every node of a cluster, without launching."""
