"""One piece of work for AnomaVision, run by the Python of its own environment: with_anomavision.py TASK UNIT.json

It calls the programs behind AnomaVision's command line, which a file configures. They want torchvision's backbones, and
find in TORCH_HOME, under the names of the official weights, those that all systems get.
"""

import json
import sys
import time
from pathlib import Path

import with_vision  # noqa: F401  before what imports torchvision
from anomavision import detect, eval, train

GRID = 10_000  # cells a side of PatchCore's features and, squared, rows of its bank: no limit


def configuration(unit):
    """Its config.yml, as JSON; the method as the others have it: no bound on the bank, no pooling to a coarser grid."""
    return {
        "dataset_path": unit["data"],
        "class_name": unit["category"],
        "resize": [unit["side"], unit["side"]],
        "crop_size": None,
        "normalize": True,
        "norm_mean": [0.485, 0.456, 0.406],
        "norm_std": [0.229, 0.224, 0.225],
        "backbone": unit["network"],
        "algorithm": unit["method"],
        "batch_size": 8,
        "layer_indices": [0, 1, 2],
        "feat_dim": unit["dimensions"],
        "patchcore_layer_indices": [1, 2],
        "coreset_ratio": unit["ratio"],
        "max_memory_patches": GRID**2,
        "patch_grid": GRID,
        "search_chunk_size": 1024,
        "model_data_path": unit["folder"],
        "run_name": "run",
        "output_model": "model.pt",
        "model": "model.pt",
        "device": "cpu",
        "log_level": "INFO",
        "thresh": None,
        "enable_visualization": False,
        "save_visualizations": False,
        "img_path": str(Path(unit["photograph"]).parent),
    }


def train_and_evaluate(unit, given):
    _, _, folder, _ = train.run_training(train.create_parser().parse_args(given))
    loaded, wrapper = [], eval.ModelWrapper

    def timed(*words):
        model = wrapper(*words)
        loaded.append(time.perf_counter())
        return model

    eval.ModelWrapper = timed  # an evaluation is timed from where the state is in memory, as everywhere
    metrics, raw = eval.run_evaluation(eval.create_parser().parse_args([*given, "--class_name", unit["category"]]))
    return {
        "evaluation": time.perf_counter() - loaded[0],
        "images": len(raw["scores"]),
        "img_auc": float(metrics["auc_score"]),
        "state_bytes": (Path(folder) / "model.pt").stat().st_size,
    }


def main():
    task, path = sys.argv[1:]
    unit = json.loads(Path(path).read_text())
    config = Path(path).with_suffix(".config.json")
    config.write_text(json.dumps(configuration(unit)))
    given = ["--config", str(config)]
    if task == "train":
        report = train_and_evaluate(unit, given)
    else:
        words = [*given, "--model_data_path", unit["folder"]]
        detect.run_inference(detect.create_parser().parse_args(words))
        report = {}
    (Path(unit["folder"]) / f"{task}.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main()
