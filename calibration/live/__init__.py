"""Holding a board before a running rig: what has been seen of it, and where to hold it next."""
