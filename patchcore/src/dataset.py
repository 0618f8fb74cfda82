"""What PatchCore reads: photographs of one category, resized and cropped as the options say, in batches."""

from anomaly.data import layouts as dataset
from anomaly.data import loader
from patchcore.src.config import Config


def load(config: Config, category: str) -> dataset.Category:
    return dataset.load_category(config.dataset_path, category)


def batches(config: Config, samples, with_masks: bool = False):
    return loader.batches(samples, config.transform, config.batch_size, config.workers, with_masks)
