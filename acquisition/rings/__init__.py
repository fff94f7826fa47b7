"""Frames between processes: leased slots in shared memory."""
