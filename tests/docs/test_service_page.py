"""Every command of docs/service.md, as it stands there; those that do not end by themselves are ended in order."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import CPU, run

from anomaly.__main__ import main
from anomaly.commands import command
from anomaly.commands.serve import parser as serve_options
from anomaly.commands.watch import parser as watch_options
from anomaly.line.room import GREY, HEAT, OVERLAY

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line)
    for block in re.findall(r"^```bash\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
]
ENDLESS = ("watch", "serve", "--watch")


def is_endless(words: list) -> bool:
    return any(word in ENDLESS for word in words)


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Iterator[Path]:
    """A folder in which those were run that end."""
    folder, before = tmp_path_factory.mktemp("service"), Path.cwd()
    os.chdir(folder)
    try:
        for words in COMMANDS:
            if is_endless(words) or words[0] == "curl":
                continue
            if words[1:3] == ["-m", "anomaly"]:
                done = run(main, *words[3:])
            else:
                method, name = Path(words[1]).parts
                done = run(command(Path(name).stem, method), *words[2:], *(CPU if name == "train.py" else ()))
            assert done.code == 0, f"{shlex.join(words)}\n{done.err}"
        yield folder
    finally:
        os.chdir(before)


def started(words: list, **more) -> subprocess.Popen:
    words = [str(ROOT / word) if word.endswith(".py") else word for word in words[1:]]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, *words], env=environment, text=True, **more)


@pytest.mark.parametrize("number", [n for n, words in enumerate(COMMANDS) if {"watch", "--watch"} & set(words)])
def test_a_watch_judges_all_that_is_there_and_ends_when_it_is_told_to(page, number):
    words = COMMANDS[number]
    process = started(words, cwd=page, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    lines = [process.stdout.readline() for _ in range(12)]  # photographs
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 143 and out == "", err
    assert {line.split()[0] for line in lines} == {"NORMAL", "ANOMALOUS"}
    results = page / next(word for word in words if word.endswith((".csv", ".jsonl")))
    assert len(results.read_text().splitlines()) == 12 + (results.suffix == ".csv")
    if "--link_anomalous" in words:
        assert len(list((page / "line" / "anomalous").rglob("*.png"))) == sum("ANOMALOUS" in line for line in lines)


def test_the_service_answers_as_the_page_says(page):
    [words] = [words for words in COMMANDS if "serve" in words]
    process = started([*words, "--port", "0"], cwd=page, stderr=subprocess.PIPE)
    for line in process.stderr:
        if line.startswith("serving at "):
            break
    port, answers = line.strip().rsplit(":", 1)[1], {}
    for asked in (words for words in COMMANDS if words[0] == "curl"):
        url = asked[-1].replace(":8000", f":{port}")
        done = subprocess.run([*asked[:-1], "-sSf", "--noproxy", "*", url], cwd=page, capture_output=True)
        assert done.returncode == 0, done.stderr
        answers[asked[-1].split("8000/")[1]] = done.stdout
    process.terminate()
    assert process.wait(60) == 0
    plain, drawn = (json.loads(answers[f"predict?model=gear{more}"]) for more in ("", "&map=overlay"))
    row = TEXT.split("| `POST /predict` | ")[1].split(" |")[0]
    assert set(re.findall(r"`(\w+)`", row.split(", as in")[0])) == plain.keys() - {"map"}
    assert plain["verdict"] == "ANOMALOUS" and drawn["map"] and plain | {"map": drawn["map"]} == drawn
    assert set(json.loads(answers["models"])) == {"gear", "old"}


def test_what_the_page_names_is_there():
    options = {name for made in (watch_options(), serve_options()) for name in made._option_string_actions}
    named = set(re.findall(r"`(--\w+)", TEXT)) - {"--watch", "--update", "--batch_size"}
    assert named and named <= options
    for option, default in re.findall(r"`--(most_\w+)` \((\d+)\)", TEXT):
        assert float(default) in (serve_options().get_default(option), watch_options().get_default(option))
    assert watch_options().get_default("drift_window") == serve_options().get_default("drift_window") == 100
    assert all(f"`{kind}`" in TEXT or f"map={kind}" in TEXT for kind in (GREY, HEAT, OVERLAY))
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", TEXT):
        assert (ROOT / "docs" / link).exists(), link
