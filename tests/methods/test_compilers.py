"""What is compiled at a first use comes out right of another compiler too."""

import os
import shutil
import subprocess
import sys

import pytest
from shell import ROOT


@pytest.mark.parametrize("module", ["patchcore.src.screen", "fastflow.src.native"])
def test_clang_makes_the_same(module, tmp_path):
    """In a process of its own, which ends where what was made touches memory wrongly."""
    if not shutil.which("clang++"):
        pytest.skip("there is no clang++ here")
    program = f"import anomaly, {module} as module; assert module.library() is not None"
    environment = {**os.environ, "CXX": "clang++", "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(tmp_path.rglob("*.so"))) == 1
