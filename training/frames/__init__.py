"""Which frames to label, and their pictures."""
