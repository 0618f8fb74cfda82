"""Whatever README and docs tell to type is run by a test, or says what it needs; its paths and options exist."""

import importlib
import re
import runpy
from functools import cache

import pages
import pytest
from commands import run
from pages import ROOT

from anomaly import methods
from anomaly.__main__ import TOOLS
from anomaly.__main__ import main as anomaly_main
from anomaly.commands import command
from anomaly.run.options import COMMANDS

# Page -> the test that runs its blocks without a mark, and in which languages.
RUN_BY = {
    "README.md": ("test_readme", ("bash", "python")),
    "README_CN.md": ("test_readme", ("bash", "python")),
    "docs/commands.md": ("test_commands_page", ("bash",)),
    "docs/export.md": ("test_commands_page", ("bash",)),
    "docs/data.md": ("test_commands_page", ("bash",)),
    "docs/report.md": ("test_report_guide", ("bash",)),
    "docs/service.md": ("test_service_page", ("bash",)),
    "docs/line.md": ("test_line_page", ("bash",)),
    "docs/thresholds.md": ("test_line_page", ("bash",)),
    "docs/python.md": ("test_python_page", ("python",)),
    "docs/adding.md": ("test_adding_page", ("python",)),
}
TYPED = ("bash", "sh", "shell", "console", "python")
READMES = tuple(f"{name}/README.md" for name in methods.names())
FLAG = re.compile(r"(?<![\w-])--([a-z][\w-]*)")
# Options of programs that are not of this project.
FOREIGN = {"no-deps", "strict"}


@pytest.mark.parametrize("page", pages.PAGES)
def test_every_block_is_run_or_says_what_it_needs(page):
    test, languages = RUN_BY.get(page, ("", ()))
    assert not test or page.split("/")[-1] in (ROOT / "tests" / "docs" / f"{test}.py").read_text()
    for block in pages.blocks(page, *TYPED):
        assert block.needs or block.language in languages, f"{page}: neither run nor marked:\n{block.text}"


def commands_of(page: str) -> list:
    return [words for block in pages.blocks(page, "bash") for words in pages.words_of(block.text)]


@cache
def help_of(kind: str, *names: str) -> str:
    if kind == "method":
        return run(command(*names), "--help").out
    if kind == "tool":
        return run(anomaly_main, *names, "--help").out
    path = ROOT / names[0]
    if path.suffix == ".sh":
        header = path.read_text(encoding="utf-8").split("set -euo pipefail")[0]
        return header + (ROOT / "scripts" / "launch.sh").read_text(encoding="utf-8")
    return run(runpy.run_path(str(path))["main"], "--help").out


def helps(words: list) -> tuple:
    """What a command says of its options, before and after `--`."""
    program, rest = words[0], words[1:]
    if program == "bash":
        assert (ROOT / rest[0]).is_file(), rest[0]
        return help_of("file", rest[0]), help_of("method", "train", "patchcore") + help_of("tool", "compare")
    if rest[0] == "-m":
        module, *more = rest[1:]
        if module == "anomaly":
            assert more[0] in (*TOOLS, *COMMANDS, "--version", "--help"), more
            return (help_of("tool", more[0]) if more[0] in TOOLS else help_of("method", *more[:2])), ""
        return run(importlib.import_module(module).main, "--help").out, ""
    assert (ROOT / rest[0]).is_file(), rest[0]
    folder, name = rest[0].split("/")
    return (help_of("method", name[:-3], folder) if folder in methods.names() else help_of("file", rest[0])), ""


def expanded(words: list) -> list:
    """With each device, where DEVICE stands in a name."""
    if not any("DEVICE.sh" in word for word in words):
        return [words]
    return [[word.replace("DEVICE.sh", f"{device}.sh") for word in words] for device in ("ascend", "gpu", "cpu")]


def hold(words: list, page: str) -> None:
    """The program is there, and knows the options that stand behind it."""
    if words[0] not in ("python", "bash"):
        return
    before, after = helps(words)
    split = words.index("--") if "--" in words else len(words)
    for text, said in ((words[:split], before), (words[split:], after)):
        for flag in FLAG.findall(" ".join(text)):
            assert re.search(rf"--{flag}\b", said), f"{page}: {words[1]} has no --{flag}"


@pytest.mark.parametrize("page", [*pages.PAGES, *READMES])
def test_what_is_called_exists_and_knows_its_options(page):
    for words in [each for typed in commands_of(page) for each in expanded(typed)]:
        hold(words, page)


def test_the_commands_for_those_who_come_from_elsewhere_exist():
    page = "docs/coming-from.md"
    cells = [line.split(" | ")[1] for line in pages.read(page).splitlines() if line.startswith("| ") and " | " in line]
    found = [code for cell in cells for code in re.findall(r"`((?:python|bash scripts/)[^`]+)`", cell)]
    assert len(found) > 25
    for code in found:
        hold(code.replace("METHOD", "patchcore").split(), page)


def everything() -> str:
    every = [help_of("method", name, method) for name in COMMANDS for method in methods.names()]
    every += [help_of("tool", name) for name in TOOLS]
    every += [path.read_text(encoding="utf-8") for path in (*ROOT.glob("scripts/*.sh"), *ROOT.glob("benchmarks/*.sh"))]
    return "\n".join([*every, *(path.read_text(encoding="utf-8") for path in ROOT.glob("benchmarks/**/*.py"))])


def test_every_option_that_a_page_mentions_exists():
    known = everything()
    for page in pages.PAGES:
        if page == "docs/coming-from.md":  # names those of other programs
            continue
        for flag in set(FLAG.findall(" ".join(re.findall(r"`([^`\n]+)`", pages.read(page))))) - FOREIGN:
            assert re.search(rf"--{flag}\b", known) or re.search(rf'"{flag}"', known), f"{page}: --{flag}"
