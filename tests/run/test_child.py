"""A child ends with its parent, also where that is killed."""

import signal
import subprocess
import sys

import pytest
from shell import ROOT, alive, until

PARENT = """
import signal, subprocess, sys, time
from anomaly.run.child import dies_with_this
print(subprocess.Popen(["sleep", "60"], preexec_fn=dies_with_this(int(sys.argv[1]))).pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_ends_with_a_parent_that_is_killed(number):
    command = [sys.executable, "-c", PARENT, str(int(number))]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert alive(child)
        parent.kill()
        until(lambda: not alive(child))
