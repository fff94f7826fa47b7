"""`rigpose demo`: the whole loop on the simulated rig, judged against the simulator's ground truth."""
