"""PatchCore: Towards Total Recall in Industrial Anomaly Detection (arXiv 2106.08265)."""

import anomaly  # noqa: F401  sets what MindSpore reads from the environment, before it is imported
