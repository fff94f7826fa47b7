"""Pose files: one file a format, each a pair `load_x`, `save_x`.

Adding a format: one module here whose docstring tells the format's traps before any code, and one line
in `deploy.poses_io.readers.READERS` if rigpose shall recognise it by its name.
"""
