"""Proof that what was recorded is synchronous: the report on a session, and the LED in its pictures."""
