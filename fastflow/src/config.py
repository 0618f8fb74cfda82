"""The options of FastFlow; presets are in fastflow/config."""

from dataclasses import dataclass

from anomaly.run import options as config

LIKELIHOOD, LAST, TEST_PIXEL_AUC = "likelihood", "last", "test_pixel_auc"


@dataclass(frozen=True)
class Config(config.Config):
    crop: tuple = config.option(
        None, config.size_or_none, "side, or height and width, of the centre; none: all", trained=True, many=True
    )
    flow_step: int = config.option(8, config.positive, "coupling blocks a scale", trained=True)
    hidden_ratio: float = config.option(1.0, config.above_zero, "hidden channels of a subnet, relative", trained=True)
    conv3x3_only: bool = config.option(False, config.boolean, "kernels of 3 only; else 3 and 1 in turn", trained=True)
    num_epochs: int = config.option(500, config.positive, "passes over the training images")
    lr: float = config.option(1e-3, config.above_zero, "learning rate of Adam")
    weight_decay: float = config.option(1e-5, config.zero_or_more, "weight decay of Adam")
    schedule: str = config.option("constant", str, "of the learning rate", choices=("constant", "cosine"))
    warmup_epochs: int = config.option(0, config.count, "epochs in which the learning rate rises to --lr")
    train_batch_size: int = config.option(32, config.positive, "images a step, over all devices together")
    held_out: float = config.option(
        0.1, config.rate, "part of the good images kept out of training, to judge epochs by"
    )
    select: str = config.option(
        LIKELIHOOD,
        str,
        "the epoch to keep: best likelihood of held-out good images, the last, or (the zoo's way, which uses the "
        "test images and so flatters the result) best pixel AUROC",
        choices=(LIKELIHOOD, LAST, TEST_PIXEL_AUC),
        trained=True,
    )
    eval_interval: int = config.option(1, config.positive, "epochs between two judgements by --select")
    log_interval: int = config.option(10, config.positive, "epochs between two lines in the log")
    save_interval: int = config.option(10, config.positive, "epochs between two full training states for --resume")
    resume: bool = config.option(False, config.boolean, "go on where an interrupted training stopped")
    feature_cache: str = config.option(
        "auto",
        str,
        "where the backbone's features are kept: memory, file, off; auto: memory while there is enough",
        choices=("auto", "memory", "file", "off"),
    )
    amp_level: str = config.option("O0", str, "mixed precision of the flow", choices=("O0", "O2"))
