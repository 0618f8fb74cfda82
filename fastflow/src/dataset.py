"""What FastFlow reads: photographs of one category, resized and cropped as the options say, in batches."""

import hashlib

from anomaly.data import layouts as dataset
from anomaly.data import loader
from anomaly.run.files import sha256
from fastflow.src.config import Config


def load(config: Config, category: str) -> dataset.Category:
    return dataset.load_category(config.dataset_path, category)


def batches(config: Config, samples, with_masks: bool = False):
    return loader.batches(samples, config.transform, config.batch_size, config.workers, with_masks)


def digest(samples) -> str:
    """Of the content of all images, in order: whether --resume goes on with the same ones."""
    return hashlib.sha256("".join(sha256(sample.path) for sample in samples).encode()).hexdigest()
