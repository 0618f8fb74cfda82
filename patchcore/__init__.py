"""PatchCore: Towards Total Recall in Industrial Anomaly Detection (arXiv 2106.08265).

detector = patchcore.fit(photographs, backbone="resnet18", coreset_ratio=0.1)
"""

from anomaly.methods import Method
from patchcore.src.config import Config, layers

METHOD = Method("patchcore", "PatchCore", Config, layers)
fit = METHOD.fit
