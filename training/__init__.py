"""From labelled frames to a trained network: projects, labels, training, evaluation, export."""
