"""What the tests share: a small drawn data set, weights, and photographs where they are present."""

import gc
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
for folder in (ROOT, ROOT / "tests", ROOT / "tests" / "tools"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

import anomaly  # noqa: E402, F401, I001  first: it sets what MindSpore reads from the environment

import pytest  # noqa: E402
import skips  # noqa: E402

from anomaly.data import toydata  # noqa: E402
from anomaly.networks import weights  # noqa: E402
from anomaly.run import device  # noqa: E402

# Folders and files of tests that take long; `run_tests.sh --fast` leaves them out, and what needs the C++ program.
SLOW = (
    "benchmark/",
    "command/test_bad_input",
    "command/test_commands",
    "command/test_compare",
    "command/test_deciding",
    "command/test_line_commands",
    "command/test_own_folders",
    "data/test_jpeg",
    "deploy/test_cpp",
    "deploy/test_export",
    "deploy/test_lite",
    "deploy/test_model_file",
    "docs/test_commands_page",
    "docs/test_line_page",
    "docs/test_python_page",
    "docs/test_quickstart",
    "docs/test_report_guide",
    "docs/test_service_page",
    "engines/",
    "fuzz/",
    "launch/",
    "library/",
    "line/test_all_detectors",
    "methods/test_augmented",
    "methods/test_compilers",
    "methods/test_coreset",
    "methods/test_coupling",
    "methods/test_fastflow",
    "methods/test_flow_loss",
    "methods/test_methods",
    "methods/test_native",
    "methods/test_padim",
    "methods/test_parts",
    "methods/test_quality",
    "methods/test_score_and_dimensions",
    "methods/test_screen",
    "methods/test_search",
    "networks/test_registry",
    "networks/test_transformers",
    "networks/test_weights",
    "project/test_fourth_method",
    "project/test_packaging",
    "project/test_realdata",
    "show/test_report_browser",
    "torture/",
)


LONG = 60  # letters of what a test is given


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: left out by run_tests.sh --fast")
    if os.environ.get("STRICT_SKIPS") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(skips.Watch())
    if not hasattr(config, "workerinput"):  # graphs are kept for this run alone, and shared by its processes
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        os.environ.setdefault("LITE_FOLDER", str(cache / "anomaly_lite"))  # which is kept
        config.graphs = tempfile.TemporaryDirectory(prefix="graphs.")
        os.environ["XDG_CACHE_HOME"] = config.graphs.name


def pytest_unconfigure(config):
    if hasattr(config, "graphs"):
        config.graphs.cleanup()


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist looks at the marks
def pytest_collection_modifyitems(items):
    """What `run_tests.sh --fast` leaves out, and what one process of the run does on its own, the longest first."""
    items.sort(key=lambda item: not item.path.is_relative_to(ROOT / "tests" / "torture"))
    for item in items:
        path = str(item.path.relative_to(ROOT / "tests"))
        if path.startswith(SLOW) or "program" in item.fixturenames:  # which is the C++ program, to be built
            item.add_marker(pytest.mark.slow)
        shared = made_for_several(item)
        if shared and not item.get_closest_marker("xdist_group"):
            of = ", ".join(str(parameters(item)[name]) for name in shared if name in parameters(item))
            item.add_marker(pytest.mark.xdist_group(f"{path} {of}"))


def pytest_make_parametrize_id(val):
    """Of what is long, how it begins: a name goes from process to process with each result."""
    if isinstance(val, (bytes, str)) and len(val) > LONG:
        return ascii(val[: LONG // 2])
    return None


def made_for_several(item) -> list:
    """Names of what this test and others of its file share: made in two processes, it would take twice as long."""
    found = item._fixtureinfo.name2fixturedefs.items()
    return sorted(name for name, made in found if made[-1].scope == "module" and made[-1].baseid == item.parent.nodeid)


def parameters(item) -> dict:
    return item.callspec.params if hasattr(item, "callspec") else {}


SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="module", autouse=True)
def little_to_look_through():
    """MindSpore collects what is not used any more before each graph: not among all that earlier tests have loaded."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def on_the_cpu():
    """A command may ask for any device; here all of them run on the one that is always present."""
    device.use("CPU")


@pytest.fixture(scope="session")
def toy(tmp_path_factory) -> Path:
    """Two categories, 6 good images to train on and 3 test images of each kind, 64 pixels a side. Read only."""
    folder = tmp_path_factory.mktemp("data") / "toy"
    toydata.make(folder, train=6, test=3, size=64)
    return folder


@pytest.fixture(scope="module")
def one_scale():
    """For a file whose tests do not depend on how many layers FastFlow looks through: this one takes less time."""
    from one_scale import sitecustomize

    sitecustomize.begin()
    yield
    sitecustomize.end()


@pytest.fixture(scope="session")
def torch_resnet18():
    import torch_resnet

    return torch_resnet.seeded("resnet18", 0)


@pytest.fixture(scope="session")
def resnet18_pth(tmp_path_factory, torch_resnet18) -> Path:
    import torch

    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(torch_resnet18.state_dict(), path)
    return path


@pytest.fixture(scope="session")
def resnet18_ckpt(resnet18_pth) -> Path:
    """A ResNet18 of random weights and random BatchNorm statistics, as a checkpoint."""
    target = resnet18_pth.with_suffix(".ckpt")
    assert weights.convert(resnet18_pth, target) == "resnet18"
    return target


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder with photographs (realdata/) and ImageNet weights (weights/)."""
    if not (SHARED / "realdata" / "hazelnut_toy").is_dir() or not (SHARED / "weights").is_dir():
        pytest.skip("no real photographs or weights here")
    return SHARED


@pytest.fixture(scope="session")
def trained(tmp_path_factory, toy):
    """PatchCore trained on both categories of the drawn data: the output folder and what was printed. Read only."""
    import commands

    output = tmp_path_factory.mktemp("trained")
    result = commands.train(toy, output, "--category", "all")
    assert result.code == 0, result.err
    return output, result


@pytest.fixture(scope="session")
def lite_home() -> str:
    """The folder of MindSpore Lite, which is fetched once; none without a network."""
    if os.environ.get("LITE_HOME"):
        return os.environ["LITE_HOME"]
    command = ["bash", str(ROOT / "scripts" / "fetch_lite.sh"), os.environ["LITE_FOLDER"]]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHON": sys.executable})
    assert done.returncode in (0, 3), done.stderr
    return done.stdout.rpartition("LITE_HOME=")[2].strip()


@pytest.fixture(scope="session")
def lite(lite_home) -> dict:
    """The variable that tells the scripts where MindSpore Lite is."""
    if not lite_home:
        pytest.skip("MindSpore Lite cannot be had here")
    return {"LITE_HOME": lite_home}


@pytest.fixture(scope="session")
def program(lite_home) -> Path:
    """The C++ program with all its engines, built by its own script."""
    from cpp import building

    reason = skips.cpp_is_missing()
    if reason:
        pytest.skip(reason)
    build = Path(os.environ["XDG_CACHE_HOME"]) / "cpp"  # one for all processes of the run
    build.mkdir(exist_ok=True)
    environment = {**os.environ, "BUILD_DIR": str(build), "PYTHON": sys.executable, "LITE_HOME": lite_home}
    command = ["bash", str(ROOT / "ascend310_infer" / "build.sh")]
    with building(build):
        if not (build / "anomaly_infer").is_file():
            done = subprocess.run(command, capture_output=True, text=True, env=environment)
            assert done.returncode == 0, done.stdout + done.stderr
    return build / "anomaly_infer"


@pytest.fixture
def bench(tmp_path, monkeypatch):
    from bench import Bench

    from benchmarks import full

    made = Bench(tmp_path, ("zebra", "apple", "bottle", "carpet"))
    monkeypatch.setattr(full, "ROOT", made.root)
    return made
