"""Whatever stands in a file, its reader either makes sense of it or refuses it in one line; nothing else comes out.

An ordinary run tries a few files of each kind, always the same ones; `bash scripts/run_fuzz.sh` many, and new ones.
"""

import io
import json
import tempfile
import zipfile
from pathlib import Path

import fuzzing
import mindspore
import numpy as np
import pytest
import tiny_model
import torch
from hypothesis import given
from hypothesis.strategies import data, sampled_from
from safetensors.numpy import save

from anomaly.data import table_layout
from anomaly.data.images import decoded, read_mask
from anomaly.data.split import Split
from anomaly.data.toydata import make
from anomaly.deploy import description, exchange, seal, state
from anomaly.deploy.record import checksum
from anomaly.line import uploads
from anomaly.line.journal import Journal
from anomaly.networks import torch_file, weights
from anomaly.run import options
from anomaly.run.files import sha256, write_json
from anomaly.show.report import categories
from padim.src.config import Config as PaDiM
from padim.src.gaussian import Gaussians
from patchcore.src.config import Config as PatchCore
from patchcore.src.memory_bank import MemoryBank

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # of Pillow and numpy, which read all the same
PHOTOGRAPHS = fuzzing.files(list(fuzzing.photographs().values()))


@given(PHOTOGRAPHS)
def test_photographs(content):
    image = fuzzing.kept(lambda: decoded(content, Path("a photograph")))
    assert image is None or (image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 and image.size)
    try:
        sent = uploads.photograph(content, Path("sent"), limits=uploads.Limits(megapixels=1))
    except uploads.Refused as refused:
        assert refused.status in (413, 415, 422) and "\n" not in str(refused)
    else:
        assert np.array_equal(sent, image)  # judged alike, whichever way it comes


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@given(PHOTOGRAPHS)
def test_masks(place, content):
    (place / "mask").write_bytes(content)
    mask = fuzzing.kept(lambda: read_mask(place / "mask"))
    assert mask is None or (mask.dtype == bool and mask.ndim == 2)


TENSORS = {"a.weight": torch.arange(12.0).reshape(3, 4), "b": torch.ones(2, dtype=torch.bfloat16)}


def saved(**how) -> bytes:
    file = io.BytesIO()
    torch.save({"state_dict": TENSORS, "epoch": 3}, file, **how)
    return file.getvalue()


def with_pickle(pickle: bytes) -> bytes:
    """A whole archive, with checksums that fit, around a damaged pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved())) as old, zipfile.ZipFile(file, "w") as new:
        for info in old.infolist():
            new.writestr(info.filename, pickle if info.filename.endswith("data.pkl") else old.read(info))
    return file.getvalue()


def pickled() -> bytes:
    with zipfile.ZipFile(io.BytesIO(saved())) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))


OLD = saved(_use_new_zipfile_serialization=False)


@given(fuzzing.files([saved(), OLD]) | fuzzing.files([pickled()]).map(with_pickle))
def test_files_of_pytorch(place, content):
    (place / "a.pth").write_bytes(content)
    found = fuzzing.kept(lambda: torch_file.read(place / "a.pth"))
    assert found is None or all(value.dtype == np.float32 for value in found.values())


@given(fuzzing.files([save({name: value.float().numpy() for name, value in TENSORS.items()})]))
def test_safetensors(place, content):
    (place / "a.safetensors").write_bytes(content)
    found = fuzzing.kept(lambda: weights.read_safetensors(place / "a.safetensors"))
    assert found is None or all(value.dtype == np.float32 for value in found.values())


def checkpoint() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.ckpt"
        listed = [{"name": name, "data": mindspore.Tensor(value.float().numpy())} for name, value in TENSORS.items()]
        mindspore.save_checkpoint(listed, str(path))
        return path.read_bytes()


@given(fuzzing.files([checkpoint()]))
def test_checkpoints(place, content):
    (place / "a.ckpt").write_bytes(content)
    found = fuzzing.kept(lambda: weights.read_ckpt(place / "a.ckpt"))
    assert found is None or all(isinstance(value, np.ndarray) for value in found.values())


@pytest.fixture(scope="module")
def model(place) -> Path:
    path = place / "model" / "patchcore_part.onnx"
    tiny_model.write(path)
    return path


@pytest.fixture(scope="module")
def about(model) -> dict:
    return json.loads(description.beside(model).read_text())


def written(path: Path, value: dict, *, write=write_json) -> Path:
    """As the program writes it, with a checksum that fits, so that what stands there is looked at."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        write(path, value)
    except (ValueError, OverflowError):  # infinities, and halves of characters
        path.write_text(json.dumps(value))
    return path


@given(data())
def test_descriptions_of_models(model, about, data):
    value = data.draw(fuzzing.records({name: part for name, part in about.items() if name != seal.KEY}))
    path = written(description.beside(model), value, write=seal.write)
    found = fuzzing.kept(lambda: description.parse(seal.read(path), path, model=model))
    if found is not None:
        fuzzing.kept(lambda: (found.known_transform, found.at({}), found.at({"false_alarm_rate": 0.01})))


@given(data())
def test_descriptions_of_models_as_text(model, about, data):
    path = description.beside(model)
    path.write_bytes(data.draw(fuzzing.files([json.dumps(about).encode()])))
    fuzzing.kept(lambda: description.read(model))


RECORD = {
    "format_version": state.FORMAT_VERSION,
    "method": "patchcore",
    "backbone": "resnet18",
    "random_backbone": True,
    "fingerprint": "0" * 64,
    "good_scores": [1.0, 1.5, 2.0],
    "good_peaks": [1.0, 1.5, 2.0],
    "good_names": ["a", "b", "c"],
    "files": {"some.npy": "0" * 64},
    "details": {"remark": "", "images": [{"path": "/a/b.png", "sha256": "0" * 64}]},
    "options": options.to_values(PatchCore()),
    "config": "0" * 64,
}


@given(fuzzing.records(RECORD))
def test_records_of_states(place, record):
    write_record = lambda path, value: write_json(path, {**value, "checksum": checksum(value)})  # noqa: E731
    written(place / "part" / state.RECORD, record, write=write_record)
    found = fuzzing.kept(lambda: state.read(place / "part"))
    if found is not None:
        for read in (lambda: found.calibration, lambda: found.images, lambda: PatchCore(**found.options(PatchCore))):
            fuzzing.kept(read)


def contents(write) -> dict:
    """The files that a part of a state is written to."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


CHANCE = np.random.default_rng(0)
BANK = MemoryBank(CHANCE.random((6, 4), np.float32), np.arange(6) // 2, 3, "max")
GAUSSIANS = Gaussians(*(CHANCE.random(size, np.float32) for size in ((4, 5), (4, 2, 5), (4, 2))), 3)
PARTS = {
    "patchcore": (contents(BANK.save), lambda found: MemoryBank.load(found, PatchCore()).vectors),
    "padim": (contents(GAUSSIANS.save), lambda found: Gaussians.load(found, 3, shape=(4, 5)).mean),
}


@pytest.mark.parametrize("method", PARTS)
@given(data=data())
def test_numbers_of_states(tmp_path_factory, method, data):
    """With checksums that fit: what the numbers themselves are is looked at, too."""
    files, read = PARTS[method]
    folder = tmp_path_factory.mktemp(method)
    name = data.draw(sampled_from(sorted(files)))
    for each, content in {**files, name: data.draw(fuzzing.files([files[name]]))}.items():
        (folder / each).parent.mkdir(exist_ok=True)
        (folder / each).write_bytes(content)
    found = state.State(folder, {"files": {each: sha256(folder / each) for each in files}})
    numbers = fuzzing.kept(lambda: read(found))
    assert numbers is None or np.isfinite(numbers).all()


@given(fuzzing.files([options.to_yaml(options.to_values(PaDiM())).encode(), b"a: &a [1, 1]\nb: [*a, *a]\n"]))
def test_options(content):
    chosen = fuzzing.kept(lambda: options.from_text(PaDiM, content, path=Path("config.yaml")))
    if chosen is not None:
        fuzzing.kept(lambda: PaDiM(**chosen))


INDEX = {
    "size": [8, 8],
    "method": "patchcore",
    "category": "part",
    "model": "0" * 64,
    "images": [{"bin": "000", "path": "/a/b.png", "defect": "good", "called": "x/b.png"}] * 2,
}


@given(fuzzing.records(INDEX))
def test_the_list_of_what_was_prepared(place, index):
    written(place / exchange.INDEX, index)
    found = fuzzing.kept(lambda: exchange.read_index(place))
    for entry in found["images"] if found else ():
        for name in (entry["bin"], entry["defect"], *entry.get("called", "x").split("/")):
            assert (place / name).parent == place  # nothing leads elsewhere


@given(fuzzing.files([b"name,score,verdict\n000,1.5,NORMAL\n001,2.5,ANOMALOUS\n"]))
def test_tables_of_a_device(place, content):
    (place / exchange.TABLE).write_bytes(content)
    found = fuzzing.kept(lambda: exchange.read_scores(place))
    assert found is None or all(np.isfinite(score) for score in found.values())


@pytest.fixture(scope="module")
def drawn(place) -> Path:
    make(place / "drawn", train=2, test=1, size=16)
    return place / "drawn" / "gear"


@given(data=data())
def test_tables_of_photographs(drawn, data):
    lines = ["path,label,mask,split", *(f"{path.relative_to(drawn)},good,," for path in drawn.rglob("*.png"))]
    (drawn / "list.csv").write_bytes(data.draw(fuzzing.files(["\n".join(lines).encode()])))
    fuzzing.kept(lambda: table_layout.read(drawn / "list.csv", Split()))


ROW = {"path": "a.png", "verdict": "NORMAL", "score": 1.5, "normalised": 0.2, "threshold": 2.0, "method": "padim"}
ROW |= {"backbone": "resnet18", "regions": [], "error": None, "time": "2026-01-01T00:00:00", "bytes": 10}
ROW |= {"modified": 5, "content": "00"}


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
@given(data=data())
def test_journals(tmp_path_factory, suffix, data):
    """What was not damaged of it is still there, and another line is added as ever."""
    path = tmp_path_factory.mktemp("journal") / f"results{suffix}"
    with Journal(path) as journal:
        journal.add([ROW, {**ROW, "path": "b\n.png"}])
    path.write_bytes(data.draw(fuzzing.files([path.read_bytes()])))

    def again() -> set:
        with Journal(path) as journal:
            journal.add([{**ROW, "path": "c.png"}])
        with Journal(path) as journal:
            return set(journal.done)

    found = fuzzing.kept(again)
    assert found is None or "c.png" in found


@given(fuzzing.records({"method": "padim", "backbone": "resnet18", "images": [], "verdicts": {"good": 1, "missed": 0}}))
def test_results_of_categories(place, results):
    written(place / "all" / "part" / "results.json", results)
    fuzzing.kept(lambda: categories.earlier(place / "all"))
