"""Finding what a network does badly, and taking in what a person corrected."""
