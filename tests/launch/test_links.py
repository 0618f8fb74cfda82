"""A launcher that is started through a link finds what it needs."""

import subprocess

from shell import ROOT


def test_a_launcher_through_a_link(tmp_path):
    link = tmp_path / "start"
    link.symlink_to(ROOT / "scripts" / "run_standalone_train_cpu.sh")
    done = subprocess.run(["bash", link, "-h"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("Usage: ") and done.stderr == ""
