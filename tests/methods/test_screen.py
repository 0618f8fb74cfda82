"""What is compiled for the search: that it is not taken where it is wrong, and what happens without a compiler."""

import logging
from pathlib import Path

import compilers
import numpy as np
import pytest

from anomaly.engines import compiled, kept
from patchcore.src import screen
from patchcore.src.search import Search

# What screen.cc has a way of its own for, as compilers call it, and by what Linux says that a processor has it.
PROCESSORS = {"haswell": "avx2", "alderlake": "avx_vnni", "icelake-server": "avx512_vnni", "sapphirerapids": "amx_int8"}
PRESENT = Path("/proc/cpuinfo").read_text().split()


def wrong(before: str, after: str):
    return compilers.wrong(screen, before, after, reason="finds other neighbours")


def nothing_of_use(monkeypatch, tmp_path):
    if compiled.compiler() is None:
        pytest.skip("no C++ compiler")
    source = tmp_path / "empty.cc"
    source.write_text("int nothing;\n")
    monkeypatch.setattr(screen, "SOURCE", source)
    return "empty-"


@pytest.mark.parametrize(
    "how",
    [
        compilers.without_compiler,
        compilers.compiler_that_fails,
        compilers.compiler_that_speaks_another_language,
        nothing_of_use,
        wrong("sum += apart * apart", "sum -= apart * apart"),
        wrong("room + kept - 1] = each.row", "room + kept - 1] = 0"),
        wrong("point.length - reach * reach", "point.length + reach * reach"),
    ],
)
def test_without_it_one_line_says_why(how, monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CXX", raising=False)
    reason = how(monkeypatch, tmp_path)
    with caplog.at_level(logging.INFO):
        assert screen.library.__wrapped__() is None
    assert reason in caplog.text and len(caplog.text.strip().splitlines()) == 1


def test_it_is_compiled_once(monkeypatch, tmp_path):
    if compiled.compiler() is None:
        pytest.skip("no C++ compiler")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = [compiled.library(screen.SOURCE).stat().st_mtime_ns for _ in range(2)]
    assert made[0] == made[1] and len(list(kept.folder().glob("*.so"))) == 1


def test_a_damaged_file_is_not_run_but_made_again(monkeypatch, tmp_path):
    if compiled.compiler() is None:
        pytest.skip("no C++ compiler")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = compiled.library(screen.SOURCE)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])  # running it would end this process
    again = compiled.library(screen.SOURCE)
    assert len(again.read_bytes()) == len(whole) and screen.library.__wrapped__() is not None


@pytest.mark.parametrize("scale", [1e-12, 1, 1e12])
@pytest.mark.parametrize("dimensions", [40, 256, 700])
def test_both_ways_give_the_same_bits(monkeypatch, dimensions, scale):
    if screen.library() is None:
        pytest.skip("no C++ compiler")
    vectors, points = (
        np.random.default_rng(count).gamma(2, 0.5, (count, dimensions)).astype(np.float32) * np.float32(scale)
        for count in (2000, 300)
    )
    found = []
    for library in (screen.library(), None):
        monkeypatch.setattr(screen, "library", lambda known=library: known)
        found.append([each for k in (1, 5) for each in Search(vectors).nearest(points, k, skip=slice(10, 300))])
    assert all(np.array_equal(ours, other) for ours, other in zip(*found))


@pytest.mark.parametrize("processor", [name for name, feature in PROCESSORS.items() if feature in PRESENT])
def test_every_way_of_multiplying(processor, monkeypatch, tmp_path):
    if compiled.compiler() is None:
        pytest.skip("no C++ compiler")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(compiled, "FLAGS", [flag.replace("native", processor) for flag in compiled.FLAGS])
    own = screen.library.__wrapped__()
    assert own and own.Largest() == (63 if processor == "haswell" else 127)
    monkeypatch.setattr(screen, "library", lambda: own)
    rng = np.random.default_rng(0)
    vectors, points = (rng.gamma(2, 0.5, (count, 300)).astype(np.float32) for count in (1011, 77))
    every = np.linalg.norm(points[:, None].astype(np.float64) - vectors, axis=2)
    distances, rows = Search(vectors).nearest(points, 3)
    assert np.array_equal(rows, every.argsort(axis=1)[:, :3])
    assert np.allclose(distances, np.sort(every, axis=1)[:, :3], rtol=1e-6)
