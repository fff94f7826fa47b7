"""From labelled images to a trained network."""
