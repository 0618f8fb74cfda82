"""Two machines without a second machine: two network namespaces with a cable between them, on the same disk."""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from shell import ROOT, environment, free_port, until

ADDRESSES = ("10.77.0.1", "10.77.0.2")


def possible() -> bool:
    """Only root may, and not in every container."""
    tools = all(shutil.which(name) for name in ("ip", "nsenter", "unshare"))
    return (
        tools and os.geteuid() == 0 and subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode == 0
    )


class Machines:
    def __enter__(self):
        self.holders = [subprocess.Popen(["unshare", "-n", "sleep", "600"]) for _ in ADDRESSES]
        own = os.readlink("/proc/self/ns/net")
        until(lambda: all(os.readlink(f"/proc/{each.pid}/ns/net") != own for each in self.holders))
        first, second = (str(each.pid) for each in self.holders)
        ends = [*("name", "cable", "netns", first, "type", "veth"), *("peer", "name", "cable", "netns", second)]
        subprocess.run(["ip", "link", "add", *ends], check=True)
        for number, address in enumerate(ADDRESSES):
            for words in (f"addr add {address}/24 dev cable", "link set cable up", "link set lo up"):
                subprocess.run(self.on(number, "ip", *words.split()), check=True)
        return self

    def __exit__(self, *_):
        for each in self.holders:
            each.kill()
            each.wait()

    def on(self, number: int, *command) -> list:
        """The command, to be run on one of them."""
        return ["nsenter", "-t", str(self.holders[number].pid), "-n", *map(str, command)]


def together(method: str, data: Path, output: Path, options: tuple, **variables) -> Path:
    """A training in two processes by its launcher, on two machines where that is possible; the folder of the first."""
    with Machines() if possible() else contextlib.nullcontext() as machines:
        outputs = [output, output.with_name(f"{output.name}, the other")]
        started = launched(machines, method, data, outputs, options, **variables)
        said = [each.communicate(timeout=200)[0] for each in started]
    assert [each.returncode for each in started] == [0] * len(started), "\n".join(said)[-4000:]
    return output / "gear"


def launched(machines, method: str, data: Path, outputs: list, options: tuple, **variables) -> list:
    """The launchers: one on each of two machines, or one of two processes."""
    script = ROOT / "scripts" / "run_distribute_train_cpu.sh"
    words = ["bash", script, method, data, "random", "gear"]
    if machines is None:
        commands = [[*words, 2, "--", "--output_dir", outputs[0], *options]]
    else:
        nodes = ["--node_num", 2, "--master_addr", ADDRESSES[0], "--master_port", free_port(), "--node_rank"]
        parts = [[*words, 1, *nodes, rank, "--", "--output_dir", output] for rank, output in enumerate(outputs)]
        commands = [machines.on(rank, *part, *options) for rank, part in enumerate(parts)]
    return [
        subprocess.Popen(
            [str(word) for word in command],
            env=environment(PYTHON=sys.executable, OMP_NUM_THREADS=1, **variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for command in commands
    ]
