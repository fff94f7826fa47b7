"""Code of the user that acts on poses, in a process of its own, and the outputs it may switch."""
