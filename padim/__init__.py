"""PaDiM: a Patch Distribution Modeling Framework for Anomaly Detection and Localization (arXiv 2011.08785).

detector = padim.fit(photographs, backbone="resnet18")
"""

from anomaly.methods import Method
from padim.src.config import Config, layers

METHOD = Method("padim", "PaDiM", Config, layers)
fit = METHOD.fit
