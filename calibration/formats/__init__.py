"""Calibration files of others: one module a format."""
