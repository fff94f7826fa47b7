"""Public recordings to try rigpose on, fetched from where they were published."""
