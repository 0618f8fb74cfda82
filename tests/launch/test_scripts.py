"""The shell scripts say how they are used."""

import pytest
from shell import ROOT, SCRIPTS, run


def test_there_are_scripts():
    kinds = ("run_standalone_train", "run_distribute_train", "run_eval", "run_all_mvtec")
    per_device = {f"{kind}_{device}.sh" for kind in kinds for device in ("ascend", "gpu", "cpu")}
    others = {"quickstart.sh", "run_tests.sh", "doctor.sh", "run_all_mvtec.sh", "run_all_mvtec_onnx.sh"}
    others |= {"run_torture.sh", "run_fuzz.sh", "run_infer_cpp.sh", "run_infer_310.sh", "bundle.sh", "compare.sh"}
    others |= {"fetch_lite.sh", "convert_lite.sh"}
    assert per_device | others <= set(SCRIPTS)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_can_be_executed_and_stops_at_the_first_error(name):
    path = ROOT / "scripts" / name
    assert path.stat().st_mode & 0o100
    assert "set -euo pipefail" in path.read_text()


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("name", SCRIPTS)
def test_help_is_the_usage_and_does_nothing_else(tmp_path, name, flag):
    done = run(name, flag, cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: ")
    assert name in done.stdout.splitlines()[0]
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [("now",), ("--fast", "please")])
@pytest.mark.parametrize("name", ["quickstart.sh", "doctor.sh"])
def test_what_takes_no_arguments_refuses_them_and_shows_the_usage(name, arguments):
    done = run(name, *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert "Usage: " in done.stderr
