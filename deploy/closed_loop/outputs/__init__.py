"""Outputs of the closed loop: a process of its own that drives them, by a policy, and lets them fall safe."""
