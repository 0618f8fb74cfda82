"""FastFlow: Unsupervised Anomaly Detection and Localization via 2D Normalizing Flows (arXiv 2111.07677).

detector = fastflow.fit(photographs, backbone="resnet18", num_epochs=20)
"""

from anomaly.methods import Method
from fastflow.src.config import Config, layers

METHOD = Method("fastflow", "FastFlow", Config, layers, weights={"wide_resnet50": "wide_resnet50_racm-8234f177"})
fit = METHOD.fit
