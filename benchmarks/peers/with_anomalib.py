"""One piece of work for anomalib, run by the Python of its own environment: with_anomalib.py TASK UNIT.json

UNIT.json is what systems.py writes; what is found goes to TASK.json in the unit's folder.
"""

import json
import sys
import time
from pathlib import Path

import torch
import with_vision  # noqa: F401  before what imports torchvision
from anomalib.data import MVTecAD
from anomalib.deploy import ExportType
from anomalib.engine import Engine
from anomalib.models import Fastflow, Padim, Patchcore
from lightning.pytorch.callbacks import Callback

NETWORKS = {"resnet18": "resnet18", "wide_resnet50": "wide_resnet50_2"}  # timm's names
METHODS = {"patchcore": Patchcore, "padim": Padim, "fastflow": Fastflow}
NOT_NEEDED = ("fc.", "layer4.")


class Epochs(Callback):
    """Seconds of each epoch's training steps, without the validation that follows them."""

    def __init__(self):
        self.seconds, self.start, self.end = [], 0.0, 0.0

    def on_train_epoch_start(self, *_):
        self.start = time.perf_counter()

    def on_train_batch_end(self, *_):
        self.end = time.perf_counter()

    def on_train_epoch_end(self, *_):
        self.seconds.append(self.end - self.start)


def made(unit):
    """The method at the unit's size, with the weights that all systems get."""
    method, network, side = unit["method"], NETWORKS[unit["network"]], unit["side"]
    own = {
        "patchcore": {"coreset_sampling_ratio": unit["ratio"]},
        "padim": {"n_features": unit["dimensions"]},
        "fastflow": {"conv3x3_only": unit["conv3x3_only"]},
    }
    size = METHODS[method].configure_pre_processor(image_size=(side, side))
    model = METHODS[method](backbone=network, pre_trained=False, visualizer=False, pre_processor=size, **own[method])
    extractor = model.model.feature_extractor
    loaded = getattr(extractor, "feature_extractor", extractor).load_state_dict(
        torch.load(unit["weights"], weights_only=True), strict=False
    )
    wrong = [key for key in loaded.unexpected_keys if not key.startswith(NOT_NEEDED)]
    wrong += [key for key in loaded.missing_keys if not key.endswith("num_batches_tracked")]
    assert not wrong, f"weights that do not fit: {wrong[:4]}"
    return model


def train(unit):
    data = MVTecAD(root=unit["data"], category=unit["category"], num_workers=unit["threads"])
    epochs = Epochs()
    more = {"max_epochs": unit["epochs"]} if unit["method"] == "fastflow" else {}
    engine = Engine(default_root_dir=unit["folder"], accelerator="cpu", devices=1, callbacks=[epochs], **more)
    model = made(unit)
    engine.fit(model=model, datamodule=data)
    checkpoint = Path(engine.trainer.checkpoint_callback.best_model_path)
    start = time.perf_counter()
    [figures] = engine.test(model=model, datamodule=data)
    return {
        "evaluation": time.perf_counter() - start,
        "images": len(data.test_data),
        "epochs": epochs.seconds if more else [],
        "img_auc": figures["image_AUROC"],
        "state": str(checkpoint),
        "state_bytes": checkpoint.stat().st_size,
    }


def export(unit):
    """What its TorchInferencer reads."""
    state = json.loads((Path(unit["folder"]) / "train.json").read_text())["state"]
    engine = Engine(default_root_dir=unit["folder"], accelerator="cpu", devices=1)
    model = METHODS[unit["method"]].load_from_checkpoint(state, weights_only=False)
    return {"model": str(engine.export(model, ExportType.TORCH, export_root=unit["folder"]))}


def photo(unit):
    from anomalib.deploy import TorchInferencer

    model = json.loads((Path(unit["folder"]) / "export.json").read_text())["model"]
    found = TorchInferencer(model, device="cpu").predict(unit["photograph"])
    print(found.pred_label.item(), found.pred_score.item())
    return {}


if __name__ == "__main__":
    task, path = sys.argv[1:]
    described = json.loads(Path(path).read_text())
    made_report = {"train": train, "export": export, "photo": photo}[task](described)
    (Path(described["folder"]) / f"{task}.json").write_text(json.dumps(made_report))
