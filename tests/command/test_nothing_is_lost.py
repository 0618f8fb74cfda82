"""Whatever the user has stays: photographs, folders and files that this program did not make, places outside of it."""

import json
import shutil
from pathlib import Path

import pytest
from commands import CPU, METHODS, RANDOM, listing, run

from anomaly.commands import command

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


@pytest.fixture
def output(tmp_path) -> Path:
    shutil.copytree(GOLDEN / "padim", tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture
def photographs(tmp_path) -> Path:
    shutil.copytree(GOLDEN / "photographs", tmp_path / "photographs")
    return tmp_path / "photographs"


def predict(output: Path, photographs: Path, *more):
    base = ("--category", "gear", "--output_dir", output, "--image_path", photographs, *CPU)
    return run(command("predict", "padim"), *base, *more)


def refused(result, *words):
    assert result.code in (1, 2) and len(result.errors) == 1, result.err
    assert all(str(word) in result.err for word in words), result.err
    assert "unexpected" not in result.err


def test_photographs_among_the_pictures_are_not_replaced_by_them(output, photographs):
    place = output / "gear" / "predict"
    shutil.copytree(photographs / "gear" / "test" / "rust", place)
    before = listing(place)
    refused(predict(output, place), "take its place")
    assert listing(place) == before
    assert predict(output, place, "--no_pictures").code == 0


def test_photographs_behind_a_link_are_not_replaced_either(output, photographs):
    rust = photographs / "gear" / "test" / "rust"
    (output / "gear" / "predict").symlink_to(rust)
    before = listing(rust)
    refused(predict(output, rust), "take its place")
    assert listing(rust) == before


@pytest.mark.parametrize("flag", ["--save_csv", "--save_json"])
@pytest.mark.parametrize("victim", ["out/gear/state.json", "photographs/gear/test/rust/000.png", "photographs"])
def test_verdicts_replace_no_other_file(output, photographs, tmp_path, flag, victim):
    before = listing(tmp_path)
    refused(predict(output, photographs / "gear" / "test", "--no_pictures", flag, tmp_path / victim), victim)
    assert listing(tmp_path) == before


def test_verdicts_replace_those_of_before(output, photographs, tmp_path):
    files = ("--save_csv", tmp_path / "a.csv", "--save_json", tmp_path / "a.json", "--no_pictures")
    for _ in range(2):
        assert predict(output, photographs / "gear" / "test", *files).code == 0
    assert len(json.loads((tmp_path / "a.json").read_text())) == 8


def test_csv_and_json_are_two_files(output, photographs, tmp_path):
    refused(predict(output, photographs, "--save_csv", tmp_path / "a", "--save_json", tmp_path / "a"), "one file")


def test_a_folder_of_the_users_that_is_called_sample_stays(output, photographs):
    folder = photographs / "gear"
    shutil.copytree(output / "gear", folder, dirs_exist_ok=True)
    (folder / "results.json").unlink()
    mine = folder / "sample" / "mine.png"
    mine.parent.mkdir()
    mine.write_bytes(b"mine")
    base = ("--dataset_path", photographs, "--category", "gear", "--output_dir", photographs, *CPU)
    refused(run(command("eval", "padim"), *base), mine.parent, "was not written by this program")
    assert mine.read_bytes() == b"mine"
    shutil.rmtree(mine.parent)
    for _ in range(2):  # its own pictures it may replace, also where it was killed before the figures were written
        assert run(command("eval", "padim"), *base).code == 0
        (folder / "results.json").unlink()


@pytest.mark.parametrize("training", [False, True])
def test_what_is_in_the_way_is_said_before_the_work(output, photographs, training):
    folder = output / "gear"
    (folder / "sample").mkdir()
    (folder / "sample" / "mine.png").write_bytes(b"mine")
    base = ("--dataset_path", photographs, "--category", "gear", "--output_dir", output, *CPU)
    more = (*METHODS["padim"], *RANDOM) if training else ()
    main = command("train" if training else "eval", "padim")
    assert run(main, *base, *more, "--pictures", "0").code == 0  # writes a results.json beside it
    before = listing(folder)
    refused(run(main, *base, *more), folder / "sample", "was not written by this program")
    after = listing(folder)
    assert {path for path in before if before[path] != after[path]} <= {str(folder / f"{main.__module__}.log")}


def export(output: Path, name: str):
    base = ("--category", "gear", "--output_dir", output, "--file_format", "ONNX")
    return run(command("export", "padim"), *base, "--file_name", output / "gear" / name, *CPU)


@pytest.mark.parametrize("name", ["mine.onnx", "mine.json", "padim_gear.json", "padim_gear.onnx"])
def test_an_export_replaces_no_model_of_another_program(output, name):
    mine = output / "gear" / name
    mine.write_text('{"mine": 1}')
    refused(export(output, Path(name).with_suffix(".onnx").name), mine, "was not written by this program")
    assert mine.read_text() == '{"mine": 1}'


def test_an_export_replaces_its_own_model_but_not_what_was_put_in_its_place(output):
    for _ in range(2):
        assert export(output, "m.onnx").code == 0
    (output / "gear" / "m.onnx").write_text("mine")
    refused(export(output, "m.onnx"), output / "gear" / "m.onnx", "was not written by this program")


def test_a_log_is_not_written_through_a_link_nor_over_a_diary(output, photographs, tmp_path):
    (tmp_path / "diary.txt").write_text("dear diary")
    base = ("--dataset_path", photographs, "--category", "gear", "--output_dir", output, *CPU)
    place = output / "gear" / "eval.log"
    place.symlink_to(tmp_path / "diary.txt")
    refused(run(command("eval", "padim"), *base), place, "was not written by this program")
    place.unlink()
    place.write_text("dear diary")
    refused(run(command("eval", "padim"), *base), place, "was not written by this program")
    assert (tmp_path / "diary.txt").read_text() == place.read_text() == "dear diary"
    place.unlink()
    for _ in range(2):
        assert run(command("eval", "padim"), *base).code == 0


@pytest.mark.parametrize(
    ("name", "text"), [("state.json", '{"mine": 1}'), ("config.yaml", "mine"), ("state.json", "dear diary")]
)
def test_a_first_training_replaces_no_file_of_the_users(photographs, tmp_path, name, text):
    mine = tmp_path / "out" / "gear" / name
    mine.parent.mkdir(parents=True)
    mine.write_text(text)
    base = ("--dataset_path", photographs, "--category", "gear", "--output_dir", tmp_path / "out")
    refused(run(command("train", "padim"), *base, *METHODS["padim"], *RANDOM, *CPU), mine, "was not written by this")
    assert mine.read_text() == text


def test_masks_of_a_data_set_are_not_replaced_by_those_of_a_prediction(output, photographs):
    shutil.copytree(output / "gear", photographs / "gear", dirs_exist_ok=True)
    rust = photographs / "gear" / "test" / "rust"
    mine = photographs / "gear" / "masks"
    shutil.copytree(photographs / "gear" / "ground_truth" / "rust", mine)
    shutil.copy(next(mine.iterdir()), mine / next(rust.iterdir()).name)
    before = listing(mine)
    refused(predict(photographs, rust, "--save_masks", "--no_pictures"), mine, "was not written by this program")
    assert listing(mine) == before


def test_pictures_of_earlier_results_are_not_judged(output, photographs):
    shutil.copytree(output / "gear", photographs / "gear", dirs_exist_ok=True)
    first, second = (predict(photographs, photographs) for _ in range(2))
    assert first.code == 0 and first.out == second.out
    result = predict(photographs, photographs / "gear" / "predict", "--no_pictures")  # unless that is what is asked
    assert result.code == 0 and result.out.count(str(photographs / "gear" / "predict")) > 1


@pytest.mark.parametrize("key", ["defect", "bin"])
@pytest.mark.parametrize("value", ["/somewhere", "../..", "..", "", "a/b", "a\\b", "a\0b"])
def test_names_in_an_index_lead_nowhere_else(photographs, tmp_path, key, value):
    sent = tmp_path / "sent"
    base = (
        "--dataset_path",
        photographs,
        "--category",
        "gear",
        "--output_dir",
        sent,
        "--resize",
        "32",
        "--crop",
        "none",
    )
    assert run(command("preprocess", "padim"), *base).code == 0
    path = sent / "label" / "index.json"
    index = json.loads(path.read_text())
    index["images"][0][key] = value
    path.write_text(json.dumps(index))
    (tmp_path / "back").mkdir()
    before = listing(tmp_path)
    back = ("--result_dir", tmp_path / "back", "--label_dir", sent / "label", "--category", "gear")
    refused(run(command("postprocess", "padim"), *back), path, "damaged")
    assert listing(tmp_path) == before


def test_a_tiny_rate_of_false_alarms_has_a_finite_threshold(output, photographs, tmp_path):
    table = tmp_path / "a.json"
    result = predict(output, photographs, "--no_pictures", "--false_alarm_rate", "1e-17", "--save_json", table)
    assert result.code == 0
    assert all(0 < row["normalised"] < 1 and row["threshold"] < 1e9 for row in json.loads(table.read_text()))
