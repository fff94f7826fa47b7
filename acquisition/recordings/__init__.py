"""Sessions on disk: written, read back, checked, packed."""
