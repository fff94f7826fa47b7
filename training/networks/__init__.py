"""The networks: one file a trunk, one head, and the table that joins them."""
