"""The learning rate at each moment of training."""

import numpy as np

from fastflow.src.config import Config


def learning_rate(config: Config, epoch: float) -> float:
    """`epoch`: epochs done so far, with a fraction for the steps of the current one."""
    if epoch < config.warmup_epochs:
        return config.lr * epoch / config.warmup_epochs
    if config.schedule == "constant":
        return config.lr
    part = (epoch - config.warmup_epochs) / max(config.num_epochs - config.warmup_epochs, 1)
    return config.lr * 0.5 * (1 + np.cos(np.pi * min(part, 1.0)))
