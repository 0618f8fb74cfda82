"""The doctor says what is there, what is not, and what to do about it."""

import importlib.util
import shlex
import sys

import pytest
from commands import listing
from shell import ROOT, environment, program, run


@pytest.fixture(scope="module")
def doctor():
    spec = importlib.util.spec_from_file_location("doctor", ROOT / "scripts" / "doctor.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def bare(tmp_path):
    """A Python without any package."""
    return program(tmp_path / "bare python", f'exec {shlex.quote(sys.executable)} -S "$@"\n')


def lines(done) -> dict:
    """The first words of each line -> the rest; of the tasks, which come last, where a name occurs twice."""
    rows = [line.split("  ", 1) for line in done.stdout.splitlines() if "  " in line]
    return {name: text.strip() for name, text in rows}


def packages(folder, **versions) -> str:
    """A folder that goes before the installed packages, with others of these versions."""
    for name, version in versions.items():
        (folder / f"{name}-{version}.dist-info").mkdir(parents=True)
        (folder / f"{name}-{version}.dist-info" / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
    return str(folder)


def test_here_the_cpu_is_ready():
    before = listing(ROOT / "scripts")
    done = run("doctor.sh", cwd=ROOT / "scripts", timeout=120, PYTHON=sys.executable)
    found = lines(done)
    assert (done.returncode, done.stderr) == (0, "")
    assert "CPU" in found["found by MindSpore"]
    assert found["numpy"] == "1.26.4"
    assert found["train, evaluate on CPU"] == found["export to ONNX, run it"] == "ready"
    assert found["ONEDNN_MAX_CPU_ISA"] == "not set; the commands take AVX2"
    assert listing(ROOT / "scripts") == before


def test_a_bare_python_is_told_what_to_install(bare, tmp_path):
    done = run("doctor.sh", cwd=tmp_path, PYTHON=bare)
    found = lines(done)
    assert (done.returncode, done.stderr) == (1, "")
    assert found["mindspore"] == "missing (2.10.0)"
    assert found["found by MindSpore"] == "none: it is not installed"
    for task in ("train, evaluate on CPU", "train, evaluate on GPU", "train, evaluate on Ascend"):
        assert "pip install -r requirements.txt" in found[task]
    assert "pip install -r requirements-dev.txt" in found["run the tests"]


def test_columns_are_straight_and_apart_however_long_a_name_is(bare, tmp_path):
    text = run("doctor.sh", cwd=tmp_path, PYTHON=bare).stdout
    assert "tf_efficientnet_b5_ra-9a3e5369" in text and "deit_base_distilled_patch16_384-d0272ac0  missing: " in text
    for section in text.split("\n\n"):
        rows = [line for line in section.splitlines() if "  " in line]
        starts = {len(line) - len(line.split("  ", 1)[1].lstrip()) for line in rows}
        assert len(starts) == 1, section


def test_packages_that_are_only_of_use_for_some_options_are_listed_and_are_tasks(bare, tmp_path):
    done = run("doctor.sh", cwd=tmp_path, PYTHON=bare)
    found = lines(done)
    for name in ("openvino", "nncf", "fastapi", "nvidia-cublas-cu11"):
        assert found[name].startswith("missing")
    assert "Packages of requirements-speed.txt (optional: " in done.stdout
    assert "pip install -r requirements-speed.txt" in found["--precision bfloat16"]
    assert "pip install -r requirements-int8.txt" in found["train with --precision int8"]
    assert "pip install -r requirements-serve.txt" in found["anomaly serve"]


def test_what_is_optional_does_not_make_training_impossible(doctor, monkeypatch):
    monkeypatch.setattr(
        doctor, "installed", lambda name: "" if name in ("openvino", "nncf") else doctor_pin(doctor, name)
    )
    assert doctor.wanting(doctor.RUN) == []
    assert doctor.wanting(doctor.SPEED, doctor.INT8) == [
        "pip install -r requirements-speed.txt",
        "pip install -r requirements-int8.txt",
    ]


def doctor_pin(doctor, name) -> str:
    return {**doctor.pins(doctor.RUN), **doctor.pins(doctor.SPEED)}[name]


def test_numpy_2_is_named_as_a_clash(tmp_path):
    done = run("doctor.sh", timeout=120, PYTHON=sys.executable, PYTHONPATH=packages(tmp_path, numpy="2.1.0"))
    found = lines(done)
    assert done.returncode == 1
    assert found["numpy"].startswith("2.1.0, CLASH: MindSpore crashes under numpy 2")
    assert found["train, evaluate on CPU"].startswith('pip install "numpy==1.26.4"')


def test_another_version_is_named_and_does_no_harm(tmp_path):
    done = run("doctor.sh", timeout=120, PYTHON=sys.executable, PYTHONPATH=packages(tmp_path, tqdm="4.1.0"))
    found = lines(done)
    assert found["tqdm"].startswith("4.1.0, not the tested 4.")
    assert (done.returncode, found["train, evaluate on CPU"]) == (0, "ready")


def test_a_mindspore_that_does_not_load_is_no_device(tmp_path):
    (tmp_path / "mindspore.py").write_text("raise ImportError('libgomp.so is missing')")
    done = run("doctor.sh", PYTHON=sys.executable, PYTHONPATH=tmp_path)
    reason = "ImportError: libgomp.so is missing"
    assert done.returncode == 1
    assert lines(done)["found by MindSpore"] == f"none: {reason}"
    assert lines(done)["train, evaluate on CPU"] == f"MindSpore does not load: {reason}"


def test_a_python_that_is_missing_or_too_old_is_one_line(tmp_path):
    old = program(tmp_path / "old", "exit 1\n")
    for python, words in ((tmp_path / "none", "no such program"), (old, "is too old")):
        done = run("doctor.sh", PYTHON=python)
        assert (done.returncode, done.stdout) == (1, "")
        assert words in done.stderr and done.stderr.count("\n") == 1


def test_what_the_drivers_say_is_shown(bare, tmp_path):
    program(tmp_path / "bin" / "nvidia-smi", "echo 'NVIDIA A10, 470.1, 8.6, 23028 MiB'\n")
    program(tmp_path / "bin" / "npu-smi", "echo; echo 'Total Count : 8'\n")
    (tmp_path / "cuda" / "lib64").mkdir(parents=True)
    (tmp_path / "cuda" / "lib64" / "libcudart.so.11.0").touch()
    path = f"{tmp_path}/bin:{environment()['PATH']}"
    found = lines(run("doctor.sh", PYTHON=bare, PATH=path, CUDA_HOME=tmp_path / "cuda", ASCEND_HOME_PATH="/cann"))
    assert found["nvidia-smi"] == "NVIDIA A10, 470.1, 8.6, 23028 MiB"
    assert found["npu-smi"] == "Total Count : 8"
    assert found["CUDA 11 in"].startswith(f"{tmp_path}/cuda/lib64")
    assert found["libraries of CUDA 11"].startswith("missing: libnvrtc.so.11.2, ")
    assert found["CANN (set_env.sh)"] == "/cann"
    assert found["train, evaluate on Ascend"] == "pip install -r requirements.txt"
    needed = "pip install -r requirements.txt; pip install -r requirements-gpu.txt (9 libraries of CUDA 11)"
    assert found["train, evaluate on GPU"] == needed


@pytest.mark.parametrize(
    ("name", "version", "clashes"),
    [
        ("numpy", "1.26.4", False),
        ("numpy", "2.0.0rc1", True),
        ("opencv-python-headless", "4.11.0.86", False),
        ("opencv-python-headless", "4.12.0.88", True),
        ("scipy", "9.0", False),
        ("numpy", "", False),
    ],
)
def test_only_versions_that_cannot_work_clash(doctor, name, version, clashes):
    assert bool(doctor.clash(name, version)) == clashes


def test_every_package_that_is_required_is_looked_at(doctor):
    versions = {**doctor.pins(doctor.RUN), **doctor.pins(doctor.TESTS)}
    assert {"mindspore": "2.10.0", "numpy": "1.26.4"}.items() <= versions.items()
    assert {"torch", "safetensors", "pytest", "ruff"} <= versions.keys()
    assert not any(name.startswith("-") for name in versions)


def test_a_build_of_the_pinned_version_is_that_version(doctor, monkeypatch):
    monkeypatch.setattr(doctor, "installed", lambda name: "2.13.0+cpu")
    assert doctor.verdict("torch", "2.13.0") == "2.13.0+cpu"
    assert doctor.verdict("torch", "2.12.0") == "2.13.0+cpu, not the tested 2.12.0"


def test_weights_are_found_and_missing_ones_say_how_to_get_them(doctor, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(doctor, "PRETRAINED", tmp_path)
    (tmp_path / "resnet18-f37072fd.ckpt").touch()
    (tmp_path / "mine.ckpt").touch()
    doctor.show_weights()
    doctor.tell()
    said = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines() if line}
    assert said["resnet18-f37072fd"] == [".ckpt"]
    assert said["wide_resnet50_2-95faca4d"][:2] == ["missing:", "python"]
    assert said["others"] == ["mine.ckpt"]


def test_the_c_plus_plus_program_needs_tools_headers_and_an_engine(doctor, monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "INCLUDES", (tmp_path,))
    monkeypatch.setattr(doctor.shutil, "which", lambda tool: None if tool == "cmake" else tool)
    monkeypatch.setattr(doctor, "installed", lambda name: "")
    monkeypatch.delenv("LITE_HOME", raising=False)
    assert doctor.for_cpp() == [
        "apt install cmake libopencv-dev nlohmann-json3-dev",
        "pip install openvino, or LITE_HOME",
    ]
    for part in ("runtime/include", "runtime/lib"):
        (tmp_path / part).mkdir(parents=True)
    monkeypatch.setenv("LITE_HOME", str(tmp_path))
    assert len(doctor.for_cpp()) == 1


def test_an_onnx_on_a_gpu_needs_the_driver_and_its_own_requirements(doctor, monkeypatch):
    monkeypatch.setattr(doctor.cards, "first_lines", lambda *command, **more: [])
    monkeypatch.setattr(doctor, "installed", lambda name: "" if name == "onnxruntime-gpu" else "1")
    missing, *others = doctor.for_onnx_on_gpu()
    assert "nvidia-smi" in missing and others == [
        "pip install -r requirements-gpu-onnx.txt, into an environment of its own"
    ]
    monkeypatch.setattr(doctor.cards, "first_lines", lambda *command, **more: ["there"])
    monkeypatch.setattr(doctor, "installed", lambda name: "1")
    assert doctor.for_onnx_on_gpu() == []


def test_a_device_that_mindspore_finds_is_ready_and_another_says_why_not(doctor, monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "wanting", lambda *files: [])
    monkeypatch.setattr(doctor.cards, "first_lines", lambda *command, **more: ["there"])
    monkeypatch.setattr(doctor.cards, "library_folders", lambda: [])
    monkeypatch.setattr(doctor.cards, "found", dict)  # PyTorch may have brought some of them
    assert doctor.for_device("Ascend", ("Ascend", "CPU"), "") == []
    assert doctor.for_device("GPU", ("CPU",), "") == ["pip install -r requirements-gpu.txt (10 libraries of CUDA 11)"]
    for name in doctor.cards.LIBRARIES:
        (tmp_path / name).touch()
    monkeypatch.setattr(doctor.cards, "library_folders", lambda: [tmp_path])
    assert "part for GPUs does not load" in doctor.for_device("GPU", ("CPU",), "")[0]
    monkeypatch.setattr(doctor.cards, "first_lines", lambda *command, **more: ["Tesla K80, 470.1, 3.7, 11441 MiB"])
    assert doctor.for_device("GPU", ("CPU",), "") == ["a newer GPU than Tesla K80: compute capability 6.0 is needed"]
