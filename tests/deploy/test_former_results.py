"""Results of a former detector do not stay beside a new state, wherever a kill comes in between."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from commands import CPU, run

import anomaly
from anomaly.commands import command
from anomaly.deploy import state
from anomaly.run import files

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


@pytest.fixture
def folder(tmp_path) -> Path:
    shutil.copytree(GOLDEN / "padim", tmp_path / "out")
    words = ("--dataset_path", GOLDEN / "photographs", "--category", "gear", "--output_dir", tmp_path / "out", *CPU)
    assert run(command("eval", "padim"), *words).code == 0
    return tmp_path / "out" / "gear"


def test_they_go_with_the_state_that_they_were_of(folder, monkeypatch):
    detector = anomaly.load(folder, device_target="CPU")
    detector.save(folder)  # the same one
    assert all((folder / name).is_file() for name in state.RESULTS)
    other = replace(detector, calibration=replace(detector.calibration, scores=detector.calibration.scores + 1))

    def killed(*words, **more):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(files.os, "replace", killed)
        other.save(folder)
    monkeypatch.undo()
    other.save(folder)
    assert not any((folder / name).exists() for name in state.RESULTS)


def test_a_threshold_that_is_kept_leaves_no_notice_of_an_edit_where_a_kill_comes(folder, monkeypatch):
    anomaly.load(folder, device_target="CPU").save(folder)
    real, count = files.os.replace, []

    def killed(source, target):
        count.append(target)
        if Path(target) == folder / state.RECORD:
            raise KeyboardInterrupt
        return real(source, target)

    from anomaly.commands import threshold

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "replace", killed)
        assert run(threshold.main, folder, "--false_alarm_rate", "0.2").code == 130
    done = run(threshold.main, folder)
    assert done.code == 0 and "was edited" not in done.out + done.err and "0.2" in done.out
