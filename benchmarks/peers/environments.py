"""An environment of its own for each peer, made once."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

from anomaly.run.errors import DataError
from benchmarks.processes import tail

HERE = Path(__file__).resolve().parent
ASK = "import importlib.metadata as m, json, sys; print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"


def requirements(name: str) -> Path:
    return HERE / f"{name}.txt"


def ensure(name: str, folder: Path) -> Path:
    """The Python of the environment; makes it, unless that was done before."""
    place, file = folder / name, requirements(name)
    python, log = place / "bin" / "python", folder / f"{name}.log"
    stamp = place / f".installed-{hashlib.sha256(file.read_bytes()).hexdigest()[:16]}"
    if stamp.is_file():
        return python
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".gitignore").write_text("*\n")  # wherever it is put
    print(f"installing {name} into {place} (once)", flush=True)
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "-r", file]
    with open(log, "wb") as output:
        for command in ([sys.executable, "-m", "venv", place], pip):
            if subprocess.run(list(map(str, command)), stdout=output, stderr=subprocess.STDOUT).returncode:
                raise DataError(f"cannot be installed: {(tail(log) or ['nothing was said'])[-1]} ({log})")
    stamp.touch()
    return python


def versions(name: str, python: Path) -> dict:
    """Of what its file of requirements names, as installed."""
    lines = requirements(name).read_text(encoding="utf-8").splitlines()
    names = [line.partition("==")[0] for line in lines if line and not line.startswith("#")]
    done = subprocess.run([str(python), "-c", ASK, *names], capture_output=True, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else {}
