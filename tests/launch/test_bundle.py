"""A bundle holds one method and what belongs to it, and works where nothing else of the project is."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from shell import ROOT, run

METHODS = ("patchcore", "padim", "fastflow")
OPTIONS = ("--backbone", "resnet18", "--resize", "64", "--crop", "none", "--embedding_dim", "20")
ONLY_IN_THE_PROJECT = {
    *("scripts/bundle.sh", "scripts/bundle.md", "scripts/bundle_CN.md", "scripts/run_tests.sh"),
    *("scripts/run_torture.sh", "scripts/run_fuzz.sh"),
    *("benchmarks/accuracy.py", "benchmarks/flow_step.py", "benchmarks/run.sh"),
    *(str(path.relative_to(ROOT)) for path in (ROOT / "benchmarks" / "peers").iterdir() if path.is_file()),
    *("CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "Dockerfile", "mkdocs.yml"),
    *("docs/pages.py", "docs/pictures/quickstart.png", "docs/pictures/report.png"),
    *(f"docs/{name}.md" for name in ("accuracy", "adding", "citing", "coming-from", "methods", "python")),
    *("docs/service.md", "docs/speed.md"),
    *(str(path.relative_to(ROOT)) for path in (ROOT / "examples").rglob("*") if path.is_file()),
}


def bundle(*words, **more) -> subprocess.CompletedProcess:
    return run("bundle.sh", *words, **more)


def files(folder: Path) -> set:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


class Bundle:
    """One that has just been made, and a user who has nothing else."""

    def __init__(self, method: str, folder: Path, place: Path):
        self.method, self.folder, self.place = method, folder, place

    def call(self, *words) -> str:
        """What a command prints; it is started from a folder elsewhere, in an environment with nothing in it."""
        path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        environment = {"PATH": path, "HOME": str(self.place), "PYTHON": sys.executable}
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        words = [str(word) for word in words]
        done = subprocess.run(words, cwd=self.place, env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def script(self, name: str, *words) -> str:
        return self.call("bash", self.folder / "scripts" / name, self.method, *words)

    def program(self, name: str, *words) -> str:
        return self.call(sys.executable, self.folder / self.method / name, "--category", "gear", *words)

    @property
    def trained(self) -> Path:
        return self.folder / "output" / self.method / "gear"

    @property
    def model(self) -> Path:
        return self.trained / f"{self.method}_gear.onnx"


def make(method: str, place: Path, *more) -> Bundle:
    (place / "elsewhere").mkdir()
    done = bundle(method, "the bundle", *more, cwd=place)
    assert done.returncode == 0, done.stderr
    return Bundle(method, place / "the bundle", place / "elsewhere")


@pytest.fixture(scope="module", params=METHODS)
def made(request, tmp_path_factory) -> Bundle:
    return make(request.param, tmp_path_factory.mktemp("place"))


@pytest.fixture
def trained(tmp_path, toy) -> Bundle:
    """A bundle in which its method was trained, by a user who has nothing else.

    One method stands for all: the files of each are those of the project, and all that it imports is there.
    """
    made = make("padim", tmp_path)
    shutil.copytree(toy, made.place / "my photos")
    made.script("run_standalone_train_cpu.sh", "my photos", "random", "gear", "--", *OPTIONS)
    return made


def figures(folder: Path) -> list:
    results = json.loads(text(folder / "results.json"))
    return [results[name] for name in ("img_auc", "pixel_auc")]


def test_a_bundle_is_what_git_has_but_for_what_is_of_no_use_there(made):
    """Where git can tell, so that no kind of file is forgotten; in the README of a bundle other things are said."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a checkout of git")
    others = (".", "tests/", *(f"{method}/" for method in METHODS if method != made.method))
    wanted = {name for name in listed.stdout.split("\0") if name and not name.startswith(others)}
    wanted -= ONLY_IN_THE_PROJECT | (set() if made.method == "patchcore" else {"scripts/quickstart.sh"})
    found = files(made.folder)
    assert found >= wanted
    assert [name for name in found - wanted if not (ROOT / name).is_file() or "__pycache__" in name] == []
    pages = {name for name in found if name.startswith("docs/")}
    for name in pages:
        assert unlinked(text(made.folder / name)) == unlinked(of_bundles(text(ROOT / name), made.method)), name
    for name in found - {"README.md", "README_CN.md"} - pages:
        assert (made.folder / name).read_bytes() == (ROOT / name).read_bytes(), name
        assert (made.folder / name).stat().st_mode & 0o100 == (ROOT / name).stat().st_mode & 0o100, name


def unlinked(page: str) -> str:
    """Links become their words: those to pages that a bundle lacks have to."""
    return re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", page)


def of_bundles(page: str, method: str) -> str:
    """Without what is marked, and with the commands of a method."""
    page = re.sub(r"<!-- not in a bundle -->\n.*?<!-- in a bundle too -->\n", "", page, flags=re.DOTALL)
    for other in METHODS:
        if other not in (method, "patchcore"):
            page = re.sub(rf"^python {other}/.*\n", "", page, flags=re.MULTILINE)
    return page.replace("patchcore", method)


def test_no_file_of_a_bundle_names_the_project_that_it_is_from(made):
    for name in files(made.folder):
        assert str(ROOT) not in text(made.folder / name), name


def named(page: Path) -> tuple:
    """The files that it links to, and the programs that it tells to start."""
    said = text(page)
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", said) if "://" not in link]
    said = "\n".join(re.sub("DEVICE", device, said) for device in ("ascend", "gpu", "cpu"))
    return [link for link in links if link], re.findall(r"(?:python|bash) ([\w/]+\.(?:py|sh))", said)


@pytest.mark.parametrize("name", ["README.md", "README_CN.md"])
def test_what_the_readme_of_a_bundle_names_is_there(made, name):
    readme = text(made.folder / name)
    assert readme.startswith("# ") and readme.count("\n# ") == readme.count("bundle") == 0
    links, programs = named(made.folder / name)
    assert f"{made.method}/train.py" in programs and f"{made.method}/README.md" in links
    for path in {*links, *programs}:
        assert (made.folder / path).is_file(), path


def test_what_the_pages_of_a_bundle_name_is_there(made):
    pages = list((made.folder / "docs").glob("*.md"))
    assert len(pages) > 10
    for page in pages:
        links, programs = named(page)
        for path in [page.parent / link for link in links] + [made.folder / program for program in programs]:
            assert path.is_file(), f"{page.name}: {path}"


def test_what_is_imported_in_a_bundle_lies_there(made):
    ask = f"import anomaly, {made.method}.src.detector as m; print(anomaly.__file__); print(m.__file__)"
    found = made.call("bash", "-c", f'cd "{made.folder}" && "$PYTHON" -c "{ask}"').splitlines()
    method = str(made.folder / made.method / "src" / "detector.py")
    assert found == [str(made.folder / "anomaly" / "__init__.py"), method]


def test_every_script_of_a_bundle_has_help(made):
    for path in (made.folder / "scripts").glob("*.sh"):
        if text(path).startswith("#!"):
            assert made.call("bash", path, "--help").startswith("Usage: "), path


@pytest.mark.parametrize("made", ["padim"], indirect=True)
def test_the_doctor_of_a_bundle_knows_that_it_has_no_tests(made):
    said = made.call("bash", made.folder / "scripts" / "doctor.sh")
    assert "build the C++ program" in said and "run the tests" not in said


def test_a_method_that_is_not_there_is_one_line(made):
    other = next(name for name in METHODS if name != made.method)
    for name in ("run_eval_cpu.sh", "run_distribute_train_gpu.sh", "run_all_mvtec_onnx.sh", "run_infer_310.sh"):
        words = [other, "x.mindir", "y", "z", *(["2"] if "distribute" in name else [])]
        words = words[:2] if "onnx" in name else words
        done = subprocess.run(["bash", made.folder / "scripts" / name, *words], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"error: METHOD: {other}; it is one of: ")
        assert made.method in done.stderr.splitlines()[0]


def test_all_methods_are_the_one_of_the_bundle(made, toy):
    words = ("all", toy, "random", "--dry_run")
    shown = made.call("bash", made.folder / "scripts" / "run_all_mvtec_cpu.sh", *words).splitlines()[-1]
    assert "benchmarks/full.py all " in shown.replace("\\", "")
    assert "all" in made.call(sys.executable, made.folder / "benchmarks" / "full.py", "--help")


def test_a_method_is_trained_evaluated_and_exported_in_its_bundle(trained):
    before = figures(trained.trained)
    out = trained.script("run_eval_cpu.sh", "my photos", "random", "gear")
    assert "img_auc: {:.6f}, pixel_auc: {:.6f}".format(*figures(trained.trained)) in out
    assert figures(trained.trained) == pytest.approx(before, abs=1e-4)
    trained.program("export.py", "--file_format", "ONNX")
    assert trained.model.is_file() and trained.model.with_suffix(".json").is_file()
    prepared = ("--dataset_path", "my photos", "--output_dir", "prepared", "--model_path", trained.model)
    trained.program("preprocess.py", *prepared)
    assert (trained.place / "prepared" / "img" / "000.bin").stat().st_size == 64 * 64 * 3


@pytest.fixture
def project(tmp_path) -> Path:
    """A copy of the project, in which anything may lie about."""
    folder = tmp_path / "my project"
    left = shutil.ignore_patterns(".*", "__pycache__", "data", "output", "build", "tests", "*.ckpt", "*.pth")
    shutil.copytree(ROOT, folder, ignore=left)
    return folder


def run_in(project: Path, *words, cwd: Path) -> subprocess.CompletedProcess:
    command = ["bash", str(project / "scripts" / "bundle.sh"), *map(str, words)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60)


LYING_ABOUT = (
    *("padim/__pycache__/train.cpython-311.pyc", "padim/src/.train.py.swp", "padim/.ipynb_checkpoints/train.py"),
    *("output/padim/gear/config.yaml", "data/toy/gear/train/good/000.png", "padim/output/gear/config.yaml"),
    *("ascend310_infer/build/CMakeFiles/id.cc", "ascend310_infer/build/anomaly_infer", ".venv/lib/module.py"),
    *(".git/config", ".gitignore", "tests/test_it.py", "pretrained/net.pth", "pretrained/notes.txt"),
    *("scripts/rank_0/om/analyze.log", "padim/kernel_meta/kernel.o", "anomaly/photo.png", "padim/train.py~"),
)


def test_nothing_that_lies_about_gets_into_a_bundle(project, tmp_path):
    assert run_in(project, "padim", "clean", cwd=tmp_path).returncode == 0
    for name in (*LYING_ABOUT, "pretrained/net 1.ckpt"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("anything")
    assert run_in(project, "padim", "other", cwd=tmp_path).returncode == 0
    assert files(tmp_path / "other") == files(tmp_path / "clean")
    assert run_in(project, "padim", "more", "--with_weights", cwd=tmp_path).returncode == 0
    assert files(tmp_path / "more") - files(tmp_path / "clean") == {"pretrained/net 1.ckpt", "pretrained/net.pth"}


def test_weights_that_are_not_there_leave_no_bundle(project, tmp_path):
    done = run_in(project, "padim", "there", "--with_weights", cwd=tmp_path)
    one_line(done, "pretrained: holds no weights")
    assert list(tmp_path.iterdir()) == [project]


def one_line(done: subprocess.CompletedProcess, message: str):
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1 and message in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        *((), ("padim",), ("padim", ""), ("padim", "x", "y"), ("padim", "x", "--all"), ("padim", "x", "--", "--seed")),
        *(("resnet", "x"), ("all", "x")),
    ],
)
def test_wrong_arguments_give_code_2_and_the_usage(tmp_path, words):
    done = bundle(*words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.match(r"error: .*\nUsage: bash scripts/bundle.sh METHOD DEST", done.stderr)
    assert list(tmp_path.iterdir()) == []


def test_the_folder_may_be_empty_and_the_size_and_what_comes_next_are_told(tmp_path):
    (tmp_path / "a folder" / "empty").mkdir(parents=True)
    done = bundle("padim", "a folder/empty", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    size, first = done.stdout.splitlines()
    assert re.fullmatch(re.escape(f"{tmp_path}/a folder/empty") + r": \d[\d.]*[KM]", size)
    assert first == "there: bash scripts/doctor.sh"
    assert [path.name for path in (tmp_path / "a folder").iterdir()] == ["empty"]
    assert (tmp_path / "a folder" / "empty").stat().st_mode == (tmp_path / "a folder").stat().st_mode


def test_a_folder_that_holds_something_and_a_file_are_left_alone(tmp_path):
    (tmp_path / "full").mkdir()
    for path in (tmp_path / "full" / ".hidden", tmp_path / "file"):
        path.write_text("mine")
    before = files(tmp_path)
    for name in ("full", "file"):
        one_line(bundle("padim", name, cwd=tmp_path), "no empty folder")
    one_line(bundle("padim", "file/below", cwd=tmp_path), "cannot be written")
    assert files(tmp_path) == before


@pytest.mark.parametrize("name", [".", "new", "padim/new", "output/../new"])
def test_a_bundle_never_goes_into_the_project(project, tmp_path, name):
    before = files(project)
    (tmp_path / "link").symlink_to(project)
    for folder in (project / name, f"link/{name}"):
        one_line(run_in(project, "padim", folder, cwd=tmp_path), "is inside the project")
    assert files(project) == before
