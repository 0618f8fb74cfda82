"""The network in the precision that was asked for, made ready on the photographs of training before the fit.

In int8 it is quantised on some of them. What is fitted afterwards is fitted on what this network gives. Whether it
still tells defects from good places is measured on others of the photographs (separation.py).
"""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from anomaly.config import Config
from anomaly.data.loader import batches
from anomaly.engines.choice import FLOAT32, INT8, NNCF, require
from anomaly.engines.frozen import layers, opened
from anomaly.measure.separation import damaged, separation
from anomaly.networks.registry import Backbone
from anomaly.run.job import Job
from anomaly.run.progress import log

MOST = 32  # photographs to quantise on; four times as many change nothing of note
HELD_OUT = 8  # photographs, at most, that are not quantised on
PARTS = 4  # of the photographs, of which one is held out
LOSS = 0.01  # of AUROC, above which there is a warning
FAR = 0.25  # of the features' norm, likewise: defects that are easily told do not show that much is lost


def prepared(backbone: Backbone, config: Config, *, samples: tuple, job: Job) -> Backbone:
    """The network for this training."""
    backbone, runtime = backbone.plain, config.runtime
    if runtime.precision == FLOAT32:
        return backbone
    if runtime.precision == INT8:
        require(NNCF)
    used, held_out = (decoded(config, part) for part in split(samples, seed=config.seed))
    size, single = config.transform.size, replace(runtime, precision=FLOAT32)
    graph = layers(backbone, size, runtime=single).graph()
    lower = graph
    if runtime.precision == INT8:
        lower = quantised(graph, used, job=job)
        backbone = replace(backbone, quantised=lower)
    if not len(held_out):
        log.info("%s: fewer than %d photographs, so it is not held against float32", config.precision, PARTS)
    elif job.ranks.writes:
        with job.phase("check"):
            nets = [
                opened(each, backbone.layers, name=backbone.name, runtime=where)
                for each, where in ((graph, single), (lower, runtime))
            ]
            compare(*nets, good=used[:HELD_OUT], held_out=held_out, config=config)
    return backbone


def split(samples: Sequence, *, seed: int) -> tuple:
    """Photographs to quantise on, and others; of a few, none are left."""
    order = np.random.default_rng(seed).permutation(len(samples))
    kept = min(HELD_OUT, len(samples) // PARTS)
    return tuple(samples[i] for i in order[kept : kept + MOST]), tuple(samples[i] for i in order[:kept])


def quantised(graph: bytes, images: np.ndarray, *, job: Job) -> bytes:
    """Of several processes one does it, and the others get what it found."""
    int8: Any = importlib.import_module("anomaly.engines.int8")  # which loads MindSpore
    content = np.zeros(0, np.uint8)
    with job.phase("quantisation"):
        if job.ranks.writes:
            content = np.frombuffer(int8.quantise(graph, images), np.uint8)
        if job.ranks.size > 1:
            content = job.ranks.broadcast(content).astype(np.uint8)
    return content.tobytes()


def compare(single: Callable, lower: Callable, *, good: np.ndarray, held_out: np.ndarray, config: Config) -> bool:
    """Says how far the network in the lower precision is from the one in float32, and warns where that is too far.

    Both: images -> the outputs of the layers. Of the layers, the one that is off the most counts.
    """
    images, masks = damaged(held_out[np.arange(HELD_OUT) % len(held_out)], seed=config.seed)
    known, found = ((net(good), net(images)) for net in (single, lower))
    told = np.array(
        [[separation(*pair, masks=masks, seed=config.seed) for pair in zip(*each)] for each in (known, found)]
    )
    apart = max(float(np.linalg.norm(b - a) / np.linalg.norm(a)) for a, b in zip(known[1], found[1]))
    before, after = told[:, (told[0] - told[1]).argmax()]
    log.info(
        "%s: features up to %.1f %% off; drawn defects on good photographs are told with AUROC %.4f, in float32 %.4f",
        config.precision,
        100 * apart,
        after,
        before,
    )
    fits = apart <= FAR and before - after <= LOSS
    if not fits:
        log.warning(
            "warning: %s is too far from float32 here (allowed: features %.0f %%, AUROC %.2f): compare both on real "
            "defects, or train with --precision float32",
            config.precision,
            100 * FAR,
            LOSS,
        )
    return fits


def decoded(config: Config, samples: tuple) -> np.ndarray:
    """B H W 3, as the network takes them."""
    parts = batches(samples, config.transform, batch_size=config.batch_size, workers=config.workers)
    return np.concatenate([np.zeros((0, *config.transform.size, 3), np.uint8), *(b.images[: b.size] for b in parts)])
