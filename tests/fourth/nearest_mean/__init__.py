"""Nearest mean: how far a place's features are from their mean over good photographs. An example of a method."""

from anomaly.methods import Method
from nearest_mean.src.config import Config, layers

METHOD = Method("nearest_mean", "nearest mean", Config, layers)
fit = METHOD.fit
