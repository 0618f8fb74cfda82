"""Rules that hold for the source as a whole."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from shell import at_once

from anomaly import methods

ROOT = Path(__file__).resolve().parents[2]
METHODS = methods.names()
COMMANDS = ("train.py", "eval.py", "predict.py", "export.py", "preprocess.py", "postprocess.py")
# From the ground up: a room imports itself and those before it.
FLOORS = (
    "run",
    "data",
    "networks",
    "engines",
    "config",
    "measure",
    "detector",
    "methods",
    "show",
    "deploy",
    "line",
    "commands",
    "__main__",
)
# What starts at once, and what judges an ONNX file: MindSpore is never imported there.
LIGHT = (
    "data",
    "measure",
    "show",
    "run/options.py",
    "deploy/exported.py",
    "engines/onnx_runtime.py",
    "line",
    "commands",
)
HEAVY = {"mindspore", "torch", "sklearn", "faiss", "scipy", "onnxruntime", "onnx"}


def sources(package: str) -> list:
    path = ROOT / package
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


def imported(path: Path) -> set:
    """The full names of all modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def roots(path: Path) -> set:
    return {name.split(".")[0] for name in imported(path)}


def test_the_methods_are_those_that_have_a_face():
    assert set(METHODS) >= {"patchcore", "padim", "fastflow"}
    for name in METHODS:
        method = methods.get(name)
        assert method.name == name and callable(__import__(name).fit)
        for command in COMMANDS:
            assert (ROOT / name / command).is_file()


def test_what_all_methods_share_imports_none_of_them():
    assert sources("anomaly")
    for path in sources("anomaly"):
        assert not roots(path) & {*METHODS, "torch"} or path.name == "weights.py", path
    assert not roots(ROOT / "anomaly" / "networks" / "weights.py") & set(METHODS)


@pytest.mark.parametrize("method", METHODS)
def test_no_method_imports_another(method):
    assert sources(method)
    for path in sources(method):
        assert not roots(path) & (set(METHODS) - {method}), path
        assert "torch" not in roots(path), path


def floor(module: str) -> int:
    return FLOORS.index(module.split(".")[1])


def test_no_room_imports_one_above_it():
    for path in sources("anomaly"):
        parts = path.relative_to(ROOT / "anomaly").with_suffix("").parts
        if parts == ("__init__",):
            continue  # its names are for type checkers, and looked up when they are asked for
        for name in imported(path):
            if name.startswith("anomaly.") and name.split(".")[1] in FLOORS:
                assert floor(name) <= FLOORS.index(parts[0]), f"{path} imports {name}"


@pytest.mark.parametrize("room", LIGHT)
def test_mindspore_is_never_imported_in(room):
    found = sources(f"anomaly/{room}")
    assert found
    for path in found:
        assert "mindspore" not in roots(path), path


def test_importing_the_light_rooms_and_all_faces_loads_nothing_heavy():
    modules = ["anomaly", *METHODS]
    for room in ("data", "measure", "show", "line", "commands", "run"):
        paths = [path.relative_to(ROOT).with_suffix("") for path in sources(f"anomaly/{room}")]
        modules += [".".join(path.parts) for path in paths if path.name != "__init__"]
    modules += [
        "anomaly.deploy.exported",
        "anomaly.deploy.state",
        "anomaly.deploy.loading",
        "anomaly.networks.registry",
        "anomaly.engines.frozen",
    ]
    program = f"import sys, {', '.join(modules)}; print(sorted(set(sys.modules) & {HEAVY}))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


@pytest.mark.parametrize("command", [f"{method}/{name}" for method in METHODS for name in COMMANDS])
def test_help_comes_at_once(command):
    def call():
        done = subprocess.run([sys.executable, ROOT / command, "--help"], capture_output=True, text=True)
        assert done.returncode == 0 and "usage:" in done.stdout, done.stderr

    assert at_once(call)


@pytest.mark.parametrize("package", ["anomaly", *METHODS])
def test_no_file_and_no_function_is_long(package):
    for path in sources(package):
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 250, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                assert node.end_lineno - node.lineno + 1 <= 50, f"{path}: {node.name}"


@pytest.mark.parametrize("package", ["anomaly", *METHODS])
def test_from_the_third_on_arguments_have_names(package):
    """Of public functions. MindSpore compiles `construct` and `bprop`; `option` reads as a row of a table."""
    for path in sources(package):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        inside = {id(f) for c in ast.walk(tree) if isinstance(c, ast.ClassDef) for f in c.body}
        for node in ast.walk(tree):
            public = isinstance(node, ast.FunctionDef) and (not node.name.startswith("_") or node.name == "__init__")
            if not public or node.name in ("construct", "bprop", "option") or is_graph(node):
                continue
            own = [argument.arg for argument in node.args.args]
            own = own[1:] if id(node) in inside and own[:1] in (["self"], ["cls"]) else own
            assert len(own) <= 2, f"{path}: {node.name}{tuple(own)}"


def is_graph(node: ast.FunctionDef) -> bool:
    """A part of `construct`: it has no types, since MindSpore's parser reads it."""
    return node.returns is None and not any(argument.annotation for argument in node.args.args)


def test_argparse_stays_where_commands_are():
    """Library code knows options and not the command line."""
    allowed = ("commands/", "run/flags.py", "data/toydata.py", "__main__.py")
    for package in ("anomaly", *METHODS):
        for path in sources(package):
            if "argparse" in roots(path):
                name = str(path.relative_to(ROOT / package))
                assert package == "anomaly" and name.startswith(allowed), path


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
print(json.dumps({"names": names, "argv": sys.argv, "made": made, "left": os.listdir(), "path": sys.path[:2]}))
"""


def test_importing_changes_nothing_and_makes_no_folder(tmp_path):
    command = [sys.executable, "-c", IMPORT_ALL, str(ROOT)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert {"anomaly.commands.train", "patchcore.train", "patchcore.src.coreset"} <= set(seen["names"])
    assert seen["argv"] == ["program", "--unknown", "words"]
    assert seen["left"] == []
    assert seen["path"][0] == str(ROOT) and seen["path"][1] == ""
    assert [path for path in seen["made"] if Path(path).is_relative_to(ROOT)] == []


def test_mindspore_finds_its_settings_and_those_of_the_user_stay():
    program = "import anomaly, os; print(os.environ['ONEDNN_MAX_CPU_ISA'], os.environ['GLOG_v'])"
    for given, wanted in (({}, "AVX2 3"), ({"ONEDNN_MAX_CPU_ISA": "ALL", "GLOG_v": "1"}, "ALL 1")):
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=given, capture_output=True, text=True)
        assert done.stdout.strip() == wanted
