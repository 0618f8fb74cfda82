"""The options of FastFlow; presets are in fastflow/config."""

from dataclasses import dataclass
from typing import Optional

from anomaly import config
from anomaly.config import crop_option
from anomaly.networks.registry import Record
from anomaly.run.options import (
    above_zero,
    boolean,
    count,
    option,
    positive,
    rate,
    zero_or_more,
)

LIKELIHOOD, LAST, TEST_PIXEL_AUC = "likelihood", "last", "test_pixel_auc"


def layers(record: Record) -> tuple:
    """Of the network, that it looks through."""
    return record.layers


@dataclass(frozen=True)
class Config(config.Config):
    crop: Optional[tuple] = crop_option(None)
    flow_step: int = option(8, positive, "coupling blocks for each scale", trained=True)
    hidden_ratio: float = option(
        1.0, above_zero, "hidden channels of a subnet, as a multiple of its input", trained=True
    )
    conv3x3_only: bool = option(
        False, boolean, "convolutions of 3 x 3 only; otherwise 3 x 3 and 1 x 1 in turn", trained=True
    )
    num_epochs: int = option(15, positive, "passes over the training images")
    patience: int = option(
        10, count, "judged epochs without a better held-out likelihood after which training ends; 0: never"
    )
    lr: float = option(2e-3, above_zero, "learning rate of Adam")
    weight_decay: float = option(1e-5, zero_or_more, "weight decay of Adam")
    schedule: str = option("cosine", str, "of the learning rate", choices=("constant", "cosine"))
    warmup_epochs: int = option(1, count, "epochs in which the learning rate rises to --lr")
    train_batch_size: int = option(8, positive, "images for each step, all devices together")
    micro_batch: int = option(
        0, count, "images whose gradients are computed at once and then added up; 0: 3 to 6 on a CPU, else all"
    )
    held_out: float = option(0.1, rate, "part of the good images kept out of training, to judge epochs by")
    select: str = option(
        LIKELIHOOD,
        str,
        "the epoch to keep: best likelihood of held-out good images, the last, or (the zoo's way, which uses the "
        "test images and so flatters the result) best pixel AUROC",
        choices=(LIKELIHOOD, LAST, TEST_PIXEL_AUC),
        trained=True,
    )
    eval_interval: int = option(1, positive, "epochs between two judgements by --select")
    log_interval: int = option(10, positive, "epochs between two lines in the log")
    save_interval: int = option(10, positive, "epochs between two full training states for --resume")
    update: bool = option(
        False, boolean, "go on from the state that was trained before, with the new photographs and those of before"
    )
    resume: bool = option(False, boolean, "go on where an interrupted training stopped")
    feature_cache: str = option(
        "auto",
        str,
        "where the backbone's features are kept: memory, file, off; auto: memory while there is enough",
        choices=("auto", "memory", "file", "off"),
    )
    amp_level: str = option("O0", str, "mixed precision of the flow", choices=("O0", "O2"))
