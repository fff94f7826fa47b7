"""From labelled frames to a trained network: projects, labels, training, evaluation, export."""

import os

# Before torch is loaded, which reads it once. Torch's threads spin while they wait for each other, and on
# a machine that does anything else besides, they spin away the time that the others need: a training step
# was seen to take twenty times as long. Sleeping instead costs a free machine next to nothing.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
