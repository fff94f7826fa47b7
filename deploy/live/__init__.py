"""From frames in the rings to poses on the stream."""
