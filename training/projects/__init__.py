"""A project and its labels: folders, files, origins, splits."""
