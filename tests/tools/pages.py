"""README and docs as tests read them: their blocks, what they tell to type, and running that."""

import os
import re
import shlex
from pathlib import Path
from typing import NamedTuple

from commands import CPU, Result, run

from anomaly.__main__ import main
from anomaly.commands import command

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "README_CN.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
# A fenced block, with the comment in the line before it that says what it needs.
BLOCK = re.compile(r"^(?:<!-- needs: ([^\n]+) -->\n)?( *)```(\w*)\n(.*?)^\2```", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    language: str
    text: str
    needs: str  # what is not here, or nothing


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, *languages: str) -> list:
    """Those of a page, in these languages or in all."""
    found = [Block(language, text, needs) for needs, _, language, text in BLOCK.findall(read(page))]
    return [block for block in found if block.language in languages or not languages]


def typed(block: str) -> list:
    """The words of each command, lines that go on being one; a file that is written with cat is written here."""
    for name, content in re.findall(r"^cat > (\S+) <<'END'\n(.*?)^END\n", block, re.DOTALL | re.MULTILINE):
        Path(name).write_text(content)
    return words_of(block)


def words_of(block: str) -> list:
    """The same without writing anything."""
    block = re.sub(r"^cat .*?^END\n", "", block, flags=re.DOTALL | re.MULTILINE).replace("\\\n", " ")
    return [shlex.split(line, comments=True) for line in block.splitlines() if line.split("#")[0].strip()]


def called(words: list, *more: str) -> Result:
    """In this process, which starts faster; with further options where they are taken."""
    assert words[0] == "python", words
    if words[1:3] == ["-m", "anomaly"]:
        return run(main, *words[3:])
    method, name = Path(words[1]).parts
    return run(command(Path(name).stem, method), *words[2:], *more, *(CPU if name != "export.py" else ()))


class Inside:
    """The working folder for a while."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __enter__(self):
        self.before = Path.cwd()
        os.chdir(self.folder)

    def __exit__(self, *_):
        os.chdir(self.before)
