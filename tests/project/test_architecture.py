"""Rules that hold for the source as a whole."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
METHODS = ("fastflow", "patchcore", "padim")
PRESENT = tuple(name for name in METHODS if (ROOT / name).is_dir())
COMMANDS = ("train.py", "eval.py", "predict.py", "export.py", "preprocess.py", "postprocess.py")


def sources(package: str) -> list:
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> set:
    """The first parts of the names of all modules that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            found.add(node.module.split(".")[0])
    return found


def test_what_all_methods_share_imports_none_of_them():
    assert sources("anomaly")
    for path in sources("anomaly"):
        assert not imported(path) & {*METHODS, "torch"} or path.name == "weights.py", path
    assert not imported(ROOT / "anomaly" / "networks" / "weights.py") & set(METHODS)


@pytest.mark.parametrize("method", PRESENT)
def test_no_method_imports_another(method):
    assert sources(method)
    for path in sources(method):
        assert not imported(path) & (set(METHODS) - {method}), path
        assert "torch" not in imported(path), path


@pytest.mark.parametrize("package", ["anomaly", *PRESENT])
def test_no_file_is_long(package):
    for path in sources(package):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 250, path


@pytest.mark.parametrize("path", [f"{method}/{name}" for method in PRESENT for name in COMMANDS])
def test_commands_consist_of_short_functions(path):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    assert any(function.name == "main" for function in functions)
    for function in functions:
        assert function.end_lineno - function.lineno + 1 <= 50, f"{path}: {function.name}"


IMPORT_ALL = """
import importlib, json, os, pkgutil, sys
sys.path.insert(0, sys.argv[1])
sys.argv = ["program", "--unknown", "words"]
made, mkdir = [], os.mkdir
def recorded(path, *rest, **more):
    made.append(os.path.abspath(path))
    return mkdir(path, *rest, **more)
os.mkdir = recorded
import anomaly, patchcore
names = [m.name for p in (anomaly, patchcore) for m in pkgutil.walk_packages(p.__path__, p.__name__ + ".")]
for name in names:
    importlib.import_module(name)
print(json.dumps({"names": names, "argv": sys.argv, "made": made, "left": os.listdir()}))
"""


def test_importing_changes_no_arguments_and_makes_no_folder(tmp_path):
    command = [sys.executable, "-c", IMPORT_ALL, str(ROOT)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert {"anomaly.commands.cli", "patchcore.train", "patchcore.src.coreset"} <= set(seen["names"])
    assert seen["argv"] == ["program", "--unknown", "words"]
    assert seen["left"] == []
    assert [path for path in seen["made"] if Path(path).is_relative_to(ROOT)] == []


def test_mindspore_finds_its_settings_and_those_of_the_user_stay():
    program = "import anomaly, os; print(os.environ['ONEDNN_MAX_CPU_ISA'], os.environ['GLOG_v'])"
    for given, wanted in (({}, "AVX2 3"), ({"ONEDNN_MAX_CPU_ISA": "ALL", "GLOG_v": "1"}, "ALL 1")):
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=given, capture_output=True, text=True)
        assert done.stdout.strip() == wanted
