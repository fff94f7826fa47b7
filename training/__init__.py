"""From a few labels to a trained, exported network. The only package that imports torch."""
