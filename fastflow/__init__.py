"""FastFlow: Unsupervised Anomaly Detection and Localization via 2D Normalizing Flows (arXiv 2111.07677)."""

import anomaly  # noqa: F401  sets what MindSpore reads from the environment, before it is imported
