"""Every command of docs/report.md, one after the other, and what the page says of the report."""

import json
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import CPU, run
from reports import data_in

from anomaly.__main__ import main
from anomaly.commands import command
from anomaly.show.report import gallery

pytestmark = pytest.mark.xdist_group("report-guide")
TEXT = (Path(__file__).resolve().parents[2] / "docs" / "report.md").read_text(encoding="utf-8")
COMMANDS = [
    line.strip()
    for block in re.findall(r"^ *```bash\n(.*?)^ *```", TEXT, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
]


def called(line: str) -> str:
    words = shlex.split(line)
    if words[1:3] == ["-m", "anomaly"]:
        done = run(main, *words[3:])
    else:
        method, name = Path(words[1]).parts
        done = run(command(Path(name).stem, method), *words[2:], *CPU)
    assert done.code == 0, f"{line}\n{done.out}\n{done.err}"
    return done.out


@pytest.fixture(scope="module")
def guided(tmp_path_factory) -> Iterator[Path]:
    """The folder in which all were run; `before`: the report as it was before a threshold was chosen."""
    folder, start = tmp_path_factory.mktemp("guide"), Path.cwd()
    os.chdir(folder)
    try:
        for line in COMMANDS:
            if " threshold " in line and not Path("before").exists():
                Path("before").write_bytes(Path("out/gear/report.html").read_bytes())
            called(line)
        yield folder
    finally:
        os.chdir(start)


def test_reports_and_the_page_that_links_them_are_there(guided):
    text = (guided / "out" / "report.html").read_text()
    for name in ("fabric", "gear"):
        assert (guided / "out" / name / "report.html").is_file() and f'href="{name}/report.html"' in text


def test_the_last_report_has_the_threshold_that_was_chosen(guided):
    before, after = data_in(guided / "before"), data_in(guided / "out" / "gear" / "report.html")
    value = float(re.findall(r"--value (\S+)", TEXT)[0])
    assert before["threshold"] != after["threshold"] == value
    results = json.loads((guided / "out" / "gear" / "results.json").read_text())
    assert [image["score"] for image in after["images"]] != [] and results["threshold"] == value
    assert {image["name"]: image["score"] for image in after["images"]} == {
        image["name"]: image["score"] for image in results["images"]
    }


def test_what_to_type_leads_to_the_threshold_that_the_page_names(guided):
    data = data_in(guided / "out" / "gear" / "report.html")
    rate, limit = data["rates"][len(data["rates"]) // 2]
    words = shlex.split(data["command"])
    assert words[:4] == ["python", "-m", "anomaly", "threshold"]
    printed = called(f"python -m anomaly threshold {guided / words[4]} --false_alarm_rate {rate}")
    assert printed.startswith(f"threshold {limit:.4f} (false alarm rate {rate:g})")


def test_the_page_names_the_bounds_of_the_program():
    assert f"at most {gallery.LARGEST} pixels" in TEXT
    assert f"stay below {gallery.BUDGET // 1_000_000} MB" in TEXT
