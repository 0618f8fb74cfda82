"""Whatever is wrong is one line that names it, an exit code, and no half-written state."""

import errno
import json
import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import commands
import cv2
import faiss
import mindspore
import numpy as np
import pytest
from commands import CPU, RANDOM, SMALL, Result, evaluate, predict, train

from anomaly.deploy import saving, state
from anomaly.run.files import replacing, replacing_together
from pretrained import pthtockpt

GEAR = ("--category", "gear")


def refused(result: Result, code: int, *words) -> str:
    """Checks the exit code and that there is one line of error with these words in it; returns the line."""
    assert result.code == code, result.err
    assert "Traceback" not in result.out + result.err
    assert len(result.errors) == 1, result.err
    [line] = result.errors
    assert line.startswith("error: "), line
    assert "unexpected" not in line, line
    for word in words:
        assert str(word) in line, line
    return line


def no_state(output: Path) -> bool:
    return not list(output.rglob("state.json"))


@pytest.fixture
def output(tmp_path, trained) -> Path:
    """A trained state of one category, to damage."""
    shutil.copytree(trained[0] / "gear", tmp_path / "output" / "gear")
    return tmp_path / "output"


def test_a_missing_data_set(tmp_path):
    for command in (train, evaluate):
        refused(command(tmp_path / "nowhere", tmp_path / "out", *GEAR), 1, tmp_path / "nowhere")
    assert no_state(tmp_path)


def test_no_data_set_at_all(tmp_path):
    from patchcore import train as module

    refused(commands.run(module.main, *GEAR, *RANDOM), 2, "--dataset_path")


def test_no_category_at_all(toy, tmp_path):
    refused(train(toy, tmp_path / "out"), 2, "--category", "fabric, gear")


def test_an_unknown_category(toy, tmp_path):
    for command in (train, evaluate):
        refused(command(toy, tmp_path / "out", "--category", "bottle"), 1, "bottle", "fabric, gear")
    assert no_state(tmp_path)


def test_a_data_set_that_is_a_category(toy, tmp_path):
    refused(train(toy / "gear", tmp_path / "out", *GEAR), 1, f"--dataset_path {toy} --category gear")


def test_no_photographs_to_train_on(data, tmp_path):
    for path in (data / "gear/train/good").iterdir():
        path.unlink()
    refused(train(data, tmp_path / "out", *GEAR), 1, data / "gear/train/good")
    assert no_state(tmp_path / "out")


@pytest.mark.parametrize("part", ["train/good/003.png", "test/good/001.png", "test/rust/002.png"])
@pytest.mark.parametrize("damage", ["truncated", "empty", "words"])
def test_an_image_that_is_none(data, tmp_path, part, damage):
    path = data / "gear" / part
    whole = path.read_bytes()
    path.write_bytes({"truncated": whole[: len(whole) // 2], "empty": b"", "words": b"these are words"}[damage])
    said = ["the trained state in", "run eval.py"] if part.startswith("test") else []
    refused(train(data, tmp_path / "out", *GEAR), 1, path, *said)
    assert no_state(tmp_path / "out") != bool(said)
    assert not (tmp_path / "out/gear/results.json").exists()
    assert [name for name in os.listdir(tmp_path / "out/gear") if "tmp" in name] == []


def test_a_mask_of_another_size(data, tmp_path):
    path = data / "gear/ground_truth/rust/001_mask.png"
    cv2.imwrite(str(path), np.zeros((60, 64), np.uint8))
    refused(train(data, tmp_path / "out", *GEAR), 1, path, "64 x 60", "64 x 64")
    assert not (tmp_path / "out/gear/results.json").exists()


def test_a_mask_that_is_none(data, tmp_path):
    path = data / "gear/ground_truth/rust/001_mask.png"
    path.write_bytes(b"these are words")
    refused(train(data, tmp_path / "out", *GEAR), 1, path)


def test_one_bad_category_does_not_keep_the_others_from_training(data, tmp_path, toy):
    shutil.copytree(toy / "fabric", data / "fabric")
    path = data / "fabric/train/good/001.png"
    path.write_bytes(b"")
    done = train(data, tmp_path / "out", "--category", "all")
    assert done.code == 1
    assert [line.startswith("error: ") for line in done.errors] == [True, True]
    assert str(path) in done.errors[0]
    assert "failed: fabric" in done.errors[1]
    assert (tmp_path / "out/gear/state.json").is_file()
    assert not (tmp_path / "out/fabric/state.json").exists()


def weights(*path) -> tuple:
    return (*SMALL, *CPU, "--pre_ckpt_path", *path)


@pytest.mark.parametrize("content", [b"", b"these are words " * 100])
def test_a_checkpoint_that_is_none(toy, tmp_path, content):
    (tmp_path / "bad.ckpt").write_bytes(content)
    refused(train(toy, tmp_path / "out", *GEAR, options=weights(tmp_path / "bad.ckpt")), 1, tmp_path / "bad.ckpt")
    assert no_state(tmp_path)


def test_a_truncated_checkpoint(toy, tmp_path, resnet18_ckpt):
    data = resnet18_ckpt.read_bytes()
    (tmp_path / "cut.ckpt").write_bytes(data[: len(data) // 3])
    refused(train(toy, tmp_path / "out", *GEAR, options=weights(tmp_path / "cut.ckpt")), 1, tmp_path / "cut.ckpt")
    assert no_state(tmp_path)


def test_a_missing_checkpoint(toy, tmp_path):
    path = tmp_path / "gone.ckpt"
    refused(train(toy, tmp_path / "out", *GEAR, options=weights(path)), 1, path, "--pre_ckpt_path")
    assert no_state(tmp_path)


def test_a_checkpoint_of_the_other_backbone(toy, tmp_path):
    import torch
    import torch_resnet

    torch.save(torch_resnet.seeded("resnet34", 1).state_dict(), tmp_path / "other.pth")
    refused(
        train(toy, tmp_path / "out", *GEAR, options=weights(tmp_path / "other.pth")),
        1,
        tmp_path / "other.pth",
        "resnet34",
    )
    assert no_state(tmp_path)


def test_converting_what_holds_no_weights(tmp_path):
    for name in ("gone.pth", "words.pth"):
        if name == "words.pth":
            (tmp_path / name).write_bytes(b"these are words")
        refused(commands.run(pthtockpt.main, "--pth_path", tmp_path / name), 1, tmp_path / name)
        assert not (tmp_path / name).with_suffix(".ckpt").exists()


@pytest.mark.parametrize(
    "flags",
    [("--backbone", "wide_resnet50"), ("--resize", "128"), ("--resize", "256"), ("--k", "3"), ("--seed", "4")],
)
def test_a_state_that_was_trained_with_another_option(toy, output, flags):
    before = commands.listing(output / "gear/embeddings")
    refused(evaluate(toy, output, *GEAR, *flags), 1, output / "gear", flags[0])
    photograph = toy / "gear/test/good/000.png"
    refused(predict(output, *GEAR, "--image_path", photograph, *flags), 1, output / "gear", flags[0])
    assert commands.listing(output / "gear/embeddings") == before


def test_a_state_that_was_trained_with_other_weights(toy, output, resnet18_ckpt):
    flags = ("--pre_ckpt_path", resnet18_ckpt)
    refused(evaluate(toy, output, *GEAR, *flags), 1, output / "gear", "--pre_ckpt_path")
    photograph = toy / "gear/test/good/000.png"
    refused(predict(output, *GEAR, "--image_path", photograph, *flags), 1, output / "gear", "--pre_ckpt_path")


def test_no_state_at_all(toy, tmp_path, trained):
    refused(evaluate(toy, tmp_path / "nowhere", *GEAR), 1, tmp_path / "nowhere/gear", "train.py")
    photograph = toy / "gear/test/good/000.png"
    line = refused(predict(trained[0], "--category", "bottle", "--image_path", photograph), 1, "bottle")
    assert "fabric, gear" in line


@pytest.mark.parametrize("name", ["embeddings/index.faiss", "embeddings/rows.npy"])
@pytest.mark.parametrize("damage", ["gone", "cut", "changed"])
def test_a_damaged_index(toy, output, name, damage):
    path = output / "gear" / name
    data = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    if damage == "changed":
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    refused(evaluate(toy, output, *GEAR), 1, path)
    refused(predict(output, *GEAR, "--image_path", toy / "gear/test/good"), 1, path)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"method": "patchcore"}', '{"method": "padim", "files": {}}'])
def test_a_damaged_record(toy, output, content):
    (output / "gear/state.json").write_text(content)
    refused(evaluate(toy, output, *GEAR), 1, output / "gear")


@pytest.mark.parametrize("content", ["", "k: nine", "[1]", None])
def test_damaged_options(toy, output, content):
    path = output / "gear/config.yaml"
    record = json.loads((output / "gear/state.json").read_text())  # as it was before the options were in it
    record["files"]["config.yaml"] = record.pop("config")
    del record["options"], record["checksum"]
    state.write(output / "gear", {**record, "format_version": 2})
    path.unlink()
    if content is not None:
        path.write_text(content)
    for flags in ((), RANDOM):
        result = evaluate(toy, output, *GEAR, *flags)
        refused(result, result.code, output / "gear")
        assert result.code in (1, 2)


@pytest.mark.parametrize("below", ["", "deeper"])
def test_an_output_folder_below_a_file(toy, tmp_path, below):
    (tmp_path / "file").write_text("mine")
    refused(train(toy, tmp_path / "file" / below, *GEAR), 1, tmp_path / "file", "--output_dir")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    "flags",
    [
        ("--coreset_ratio", "0"),
        ("--coreset_ratio", "2"),
        ("--k", "abc"),
        ("--k", "0"),
        ("--k", "1.5"),
        ("--batch_size", "0"),
        ("--resize", "8"),
        ("--resize", "none"),
        ("--crop", "65"),
        ("--backbone", "vgg"),
        ("--false_alarm_rate", "1"),
        ("--device_target", "TPU"),
        ("--corset_ratio", "0.1"),
        ("--coreset", "0.1"),
        ("--k",),
    ],
)
def test_a_value_that_is_not_allowed(toy, tmp_path, flags):
    refused(train(toy, tmp_path / "out", *GEAR, *flags), 2, flags[0])
    assert not (tmp_path / "out").exists()


def test_a_device_that_is_not_there(toy, tmp_path):
    if mindspore.hal.is_available("GPU"):
        pytest.skip("there is a GPU")
    refused(train(toy, tmp_path / "out", *GEAR, "--device_target", "GPU"), 1, "--device_target GPU", "CPU")
    assert no_state(tmp_path)


def test_a_file_of_options_that_is_not_there(toy, tmp_path):
    refused(train(toy, tmp_path / "out", *GEAR, "--config", tmp_path / "gone.yaml"), 1, tmp_path / "gone.yaml")


def test_predict_on_a_path_that_is_not_there(output, tmp_path):
    refused(predict(output, *GEAR, "--image_path", tmp_path / "gone.png"), 1, tmp_path / "gone.png")


def test_predict_on_a_folder_without_images(output, tmp_path):
    (tmp_path / "empty").mkdir()
    refused(predict(output, *GEAR, "--image_path", tmp_path / "empty"), 1, tmp_path / "empty")


def test_predict_without_a_category(output, toy):
    refused(predict(output, "--image_path", toy / "gear/test/good"), 2, "--category")


def test_predict_judges_the_other_images_of_a_folder_with_bad_ones(toy, output, tmp_path):
    folder = tmp_path / "photographs"
    shutil.copytree(toy / "gear/test/good", folder)
    (folder / "001.png").write_bytes(b"these are words")
    files = ("--save_json", tmp_path / "a.json", "--fail_on_anomaly")
    done = predict(output, *GEAR, "--image_path", folder, *files, "--batch_size", "1")
    refused(done, 1, folder / "001.png")
    rows = json.loads((tmp_path / "a.json").read_text())
    assert [Path(row["path"]).name for row in rows] == ["000.png", "002.png"]
    assert sorted(path.name[:3] for path in (output / "gear/predict").glob("*.png")) == ["000", "002"]


def test_predict_into_a_file_that_cannot_be_written(toy, output, tmp_path):
    (tmp_path / "file").write_text("mine")
    target = tmp_path / "file" / "a.csv"
    refused(predict(output, *GEAR, "--image_path", toy / "gear/test/good", "--save_csv", target), 1, tmp_path / "file")


def test_what_a_killed_run_left_does_not_disturb(toy, data, output):
    folder = output / "gear"
    for path in (folder / ".state.1.tmp.json", folder / "embeddings/.index.1.tmp.faiss"):
        path.write_bytes(b"half")
    (folder / ".sample.x.tmp").mkdir()
    (folder / ".sample.x.tmp/a.png").write_bytes(b"half")
    assert evaluate(toy, output, *GEAR).code == 0
    assert train(data, output, *GEAR).code == 0
    assert evaluate(data, output, *GEAR).code == 0


def test_a_run_that_was_killed_while_saving_leaves_the_state_of_before(data, output, monkeypatch):
    def killed(*arguments):
        raise KeyboardInterrupt

    before = (output / "gear" / "state.json").read_bytes()
    monkeypatch.setattr(faiss, "serialize_index", killed)
    assert train(data, output, *GEAR, "--seed", "3").code == 130
    monkeypatch.undo()
    assert (output / "gear" / "state.json").read_bytes() == before
    assert evaluate(data, output, *GEAR).code == 0


FULL = Path("/dev/full")


def temporary_of(path: Path) -> Path:
    """The name under which a file is written before it is moved to its place."""
    with replacing(path) as temporary:
        temporary.write_bytes(b"")
    path.unlink()
    return temporary


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
@pytest.mark.parametrize("name", ["embeddings/index.faiss", "embeddings/rows.npy", "config.yaml", "state.json"])
def test_a_full_disk(toy, tmp_path, monkeypatch, name):
    """The file itself leads to a device that is always full."""

    @contextmanager
    def full(folder, **more):
        with replacing_together(folder, **more) as place:
            temporary_of(place / name).symlink_to(FULL)
            yield place

    monkeypatch.setattr(saving, "replacing_together", full)
    refused(train(toy, tmp_path / "out", *GEAR), 1, "No space left")
    assert no_state(tmp_path / "out")
    assert not (tmp_path / "out/gear" / name).exists()
    monkeypatch.undo()
    assert train(toy, tmp_path / "out", *GEAR).code == 0


def test_a_full_disk_while_pictures_are_drawn(toy, tmp_path, monkeypatch):
    def full(self, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    refused(train(toy, tmp_path / "out", *GEAR), 1, "No space left", tmp_path / "out/gear")
    assert not (tmp_path / "out/gear/results.json").exists()
    assert not (tmp_path / "out/gear/sample").exists()


def test_too_little_memory_is_said_before_it_is_taken(toy, tmp_path, monkeypatch):
    from anomaly.run import memory

    monkeypatch.setattr(memory, "available", lambda: 1000)
    refused(train(toy, tmp_path / "out", *GEAR), 1, "GB", "--resize")
    assert no_state(tmp_path)


def test_running_out_of_memory_says_what_to_try(toy, tmp_path, monkeypatch):
    from patchcore.src import dataset as module

    def exhausted(*arguments, **more):
        raise MemoryError("Unable to allocate 9 TiB")

    monkeypatch.setattr(module, "extract", exhausted)
    refused(train(toy, tmp_path / "out", *GEAR), 1, "memory", "--resize")


def test_a_mistake_of_the_program_is_one_line_too(toy, tmp_path, monkeypatch):
    from patchcore.src import dataset as module

    def broken(*arguments, **more):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(module, "extract", broken)
    done = train(toy, tmp_path / "out", *GEAR)
    assert done.code == 1
    assert done.errors == ["error: unexpected: ZeroDivisionError: division by zero (--debug shows where)"]
