"""Clocks, counts and frame sets: which frames of all cameras are of one instant."""
