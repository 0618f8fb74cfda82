"""PaDiM: a Patch Distribution Modeling Framework for Anomaly Detection and Localization (arXiv 2011.08785)."""

import anomaly  # noqa: F401  sets what MindSpore reads from the environment, before it is imported
