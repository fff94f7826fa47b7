"""The live page: what the rig sees, where the animal is, and whether all is well, in a browser."""
