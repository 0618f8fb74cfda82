"""The network in the precision that was asked for, made ready on the photographs of training before the fit.

In int8 it is quantised on some of them. What is fitted afterwards is fitted on what this network gives.
"""

import importlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from anomaly.config import Config
from anomaly.data.loader import batches
from anomaly.engines.choice import FLOAT32, INT8
from anomaly.engines.frozen import Frozen, photographs
from anomaly.networks.registry import Backbone
from anomaly.run.job import Job

MOST = 64  # photographs to quantise on
HELD_OUT = 8  # photographs, at most, that are not quantised on


def prepared(backbone: Backbone, config: Config, samples: tuple, *, job: Job) -> Backbone:
    """The network for this training."""
    backbone, runtime = backbone.plain, config.runtime
    if runtime.precision == FLOAT32:
        return backbone
    used, _ = split(samples, seed=config.seed)
    if runtime.precision == INT8:
        backbone = quantised(backbone, config, used, job=job)
    return backbone


def split(samples: Sequence, *, seed: int) -> tuple:
    """Photographs to quantise on, and others; of a few, none are left."""
    order = np.random.default_rng(seed).permutation(len(samples))
    kept = min(HELD_OUT, len(samples) // 4)
    return tuple(samples[i] for i in order[kept : kept + MOST]), tuple(samples[i] for i in order[:kept])


def quantised(backbone: Backbone, config: Config, samples: tuple, *, job: Job) -> Backbone:
    """Of several processes one does it, and the others get what it found."""
    int8: Any = importlib.import_module("anomaly.engines.int8")  # which loads MindSpore
    int8.require()
    content = np.zeros(0, np.uint8)
    with job.phase("quantisation"):
        if job.ranks.writes:
            graph = network(backbone, config, precision=FLOAT32).graph()
            content = np.frombuffer(int8.quantise(graph, decoded(config, samples)), np.uint8)
        if job.ranks.size > 1:
            content = job.ranks.broadcast(content).astype(np.uint8)
    return replace(backbone, quantised=content.tobytes())


def network(backbone: Backbone, config: Config, *, precision: str) -> Frozen:
    """B H W 3 -> the outputs of its layers."""
    runtime, size = replace(config.runtime, precision=precision), config.transform.size
    return Frozen(backbone.net(size), photographs(size), outputs=backbone.layers, runtime=runtime)


def decoded(config: Config, samples: tuple) -> np.ndarray:
    """B H W 3, as the network takes them."""
    parts = batches(samples, config.transform, batch_size=config.batch_size, workers=config.workers)
    return np.concatenate([batch.images[: batch.size] for batch in parts])
