"""The simulated rig: cameras with true lenses and clocks, an animal, boards, and the truth beside them.

It stands behind the same camera port as every real driver. Its lens and boards are written
independently of `calibration`, so that each is the other's oracle.
"""
