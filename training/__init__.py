"""From labelled frames to a trained network: projects, labels, training, evaluation, export."""

import os

# Before torch is loaded, which reads it once. Torch's threads spin while they wait for each other, and on
# a machine that does anything else besides, they spin away the time that the others need: a training step
# was seen to take twenty times as long. Sleeping at once instead costs a free machine a third of its speed;
# spinning for some tenths of a millisecond first costs neither.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "5000")
