"""A launcher that is started through a link finds what it needs."""

import os
import subprocess

from shell import ROOT, environment, program


def test_a_launcher_through_a_link(tmp_path):
    link = tmp_path / "start"
    link.symlink_to(ROOT / "scripts" / "run_standalone_train_cpu.sh")
    done = subprocess.run(["bash", link, "-h"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("Usage: ") and done.stderr == ""


def test_the_others_too(tmp_path):
    for number, path in enumerate(("benchmarks/run.sh", "ascend310_infer/build.sh")):
        (tmp_path / f"{number}").symlink_to(ROOT / path)
    done = subprocess.run(["bash", tmp_path / "0", "-h"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("Usage: ") and done.stderr == ""
    program(tmp_path / "bin" / "cmake", 'echo "$@"; exit 1')
    found = environment(PATH=f"{tmp_path}/bin:{os.environ['PATH']}", BUILD_DIR=tmp_path / "build")
    done = subprocess.run(["bash", tmp_path / "1"], capture_output=True, text=True, env=found)
    assert f"-S {ROOT}/ascend310_infer -B" in done.stderr
