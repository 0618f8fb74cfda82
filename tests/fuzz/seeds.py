"""Whole files for libFuzzer to begin with: python tests/fuzz/seeds.py FOLDER."""

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "tools")]

import fuzzing  # noqa: E402
import tiny_model  # noqa: E402
from commands import unsealed  # noqa: E402

from anomaly.deploy import description  # noqa: E402
from anomaly.run.files import sha256, write_json  # noqa: E402


def descriptions(folder: Path) -> None:
    """As of an empty model, and without a checksum of their own, so that what is changed in them is looked at."""
    with tempfile.TemporaryDirectory() as made:
        model = Path(made) / "patchcore_part.onnx"
        tiny_model.write(model)
        about, empty = unsealed(description.beside(model)), Path(made) / "empty"
        empty.touch()
        about |= {"sha256": {"onnx": sha256(empty)}, "good_scores": [1.0, 2.0], "good_peaks": [1.0, 2.0]}
    views = ({}, {"tile": {"overlap": 0.25}}, {"keep_aspect": True}, {"roi": "1,2,10,20"}, {"crop": [40, 40]})
    for number, view in enumerate(views):
        size = view.get("crop", about["input"]["size"])
        outputs = {**about["outputs"], "map": {"shape": size}}
        write_json(
            folder / f"{number}.json", {**about, "outputs": outputs, "input": {**about["input"], **view, "size": size}}
        )


def main(folder: Path) -> None:
    for name in ("photographs", "descriptions", "prepared"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name, content in fuzzing.photographs().items():
        (folder / "photographs" / name).write_bytes(content)
    descriptions(folder / "descriptions")
    (folder / "prepared" / "whole").write_bytes(bytes(4 * 5 * 3))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
