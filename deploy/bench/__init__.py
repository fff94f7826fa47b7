"""How long each stage takes on this machine, and from light to TTL."""
