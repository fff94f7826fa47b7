"""Pages that a command serves: who may use them, and the server around them."""
