"""The tests. A package in its own right: site-packages may hold a `tests` of somebody else."""
