"""The trigger: its port, its protocol on a serial line, its clock, its firmware."""
