"""The labelling page: a small server for one project, and the page it serves."""
