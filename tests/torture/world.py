"""What the cases begin with: photographs, trained states and exported models, small ones and whole."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
for _folder in (ROOT, ROOT / "tests", ROOT / "tests" / "tools"):
    if str(_folder) not in sys.path:
        sys.path.insert(0, str(_folder))

import anomaly  # noqa: E402, F401  first: it sets what MindSpore reads from the environment

GOLDEN = ROOT / "tests" / "golden"
METHODS = ("padim", "patchcore", "fastflow")
PHOTOGRAPHS = 8  # that are tested on
CPU = ("--device_target", "CPU")
PROGRAM = "cpp"  # the part that is the C++ program


class World:
    """Parts by name: photos, old/<method> (a state of format 1), out/<method> (of today), models/<method>, tiny, cpp.

    The last one is the C++ program.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.verdicts: dict = {}  # part -> the lines of its verdicts, by photograph

    def put(self, name: str, place: Path) -> None:
        """A copy of a part, for one case. `name`: PART, or PART:WHERE."""
        part, _, where = name.partition(":")
        if part == PROGRAM:  # which is run where it is
            return
        source, target = self.folder / part, place / (where or part)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True)
        else:
            for path in source.parent.glob(f"{source.name}.*"):
                shutil.copy2(path, target.parent / path.name)

    def has(self, part: str) -> bool:
        return (self.folder / part).exists() or (self.folder / f"{part}.json").is_file()

    def send(self) -> None:
        """What preprocess.py writes, and beside it what a device would send back."""
        import numpy as np

        from anomaly.commands import command

        words = ("--dataset_path", GOLDEN / "photographs", "--category", "gear", "--output_dir", self.folder / "sent")
        command("preprocess", "padim")([str(word) for word in (*words, "--resize", "32", "--crop", "none")])
        back = self.folder / "sent" / "back"
        back.mkdir()
        names = [f"{number:03}" for number in range(PHOTOGRAPHS)]
        for number, name in enumerate(names):
            np.full((32, 32), number, np.float32).tofile(back / f"{name}.bin")
        lines = [f"{name},{number}" for number, name in enumerate(names)]
        (back / "results.csv").write_text("\n".join(["name,score", *lines]) + "\n")

    def build(self) -> None:
        command = ["bash", str(ROOT / "ascend310_infer" / "build.sh")]
        environment = {**os.environ, "BUILD_DIR": str(self.folder / PROGRAM), "PYTHON": sys.executable}
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)

    def take(self, program: Path) -> None:
        """The C++ program, which was built before."""
        (self.folder / PROGRAM).mkdir()
        (self.folder / PROGRAM / "anomaly_infer").symlink_to(program.resolve())

    def train(self, kind: str, method: str) -> None:
        """An ensemble, or what a training can be gone on with, or one that knows its photographs."""
        from families.images import training

        from anomaly.commands import command

        places = {"photos": str(self.folder / "photos"), "out/new": str(self.folder / kind / method)}
        words = [places.get(word, word) for word in training(method)[2:]]
        more = ("--backbone", "resnet18,resnet34") if kind == "ensemble" else ()
        more = ("--num_epochs", "1") if method == "fastflow" else more
        command("train", method)([*words, *more])

    def make(self, part: str) -> None:
        """What needs MindSpore: a golden state as it is written today, or its model as ONNX."""
        from anomaly.commands import command
        from anomaly.deploy.loading import load

        if part in (PROGRAM, "sent"):
            self.build() if part == PROGRAM else self.send()
            return
        kind, method = part.split("/")
        if kind in ("ensemble", "begun", "seen"):
            self.train(kind, method)
            return
        if kind == "out":
            load(GOLDEN / method / "gear", device_target="CPU").save(self.folder / part / "gear")
            return
        target = self.folder / f"{part}.onnx"
        target.parent.mkdir(exist_ok=True)
        words = ("--output_dir", GOLDEN / method, "--category", "gear", "--file_format", "ONNX", *CPU)
        words = (*words, "--file_name", target, "--batch_size", "dynamic")
        command("export", method)([str(word) for word in words])


def build(folder: Path) -> World:
    """With what needs no MindSpore."""
    world = World(folder)
    shutil.copytree(GOLDEN / "photographs", folder / "photos")
    for method in METHODS:
        shutil.copytree(GOLDEN / method, folder / "old" / method)
    import tiny_model

    tiny_model.write(folder / "tiny" / "part.onnx")
    return world
