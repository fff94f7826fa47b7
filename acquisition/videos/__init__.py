"""Single video files: read, written, cut, without losing a frame."""
