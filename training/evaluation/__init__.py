"""How good a network is: errors in px, what its confidence is worth, pictures, tables."""

from training.evaluation.evaluate import evaluate
from training.evaluation.measures import measure
from training.evaluation.predicting import network_predictor, predict_images

__all__ = ["evaluate", "measure", "network_predictor", "predict_images"]
