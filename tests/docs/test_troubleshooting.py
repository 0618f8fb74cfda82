"""The messages in docs/troubleshooting.md are those of the program."""

import re

import pages
import pytest
from pages import ROOT

from anomaly import methods

FOLDERS = ("anomaly", "scripts", *methods.names())
MESSAGES = re.findall(r"^\| `([^`]+)` \|", pages.read("docs/troubleshooting.md"), re.MULTILINE)


def sources() -> str:
    """All of the program, with its strings that go on in the next line joined."""
    files = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*")) if path.suffix in (".py", ".sh")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    return re.sub(r'"\s*\n?\s*f?"', "", text)


def told(message: str) -> list:
    """What stands between the words in capitals, which differ, and the dots."""
    message = re.sub(r"^--\w+ ", "", message)  # a message that several options share
    return [part.strip() for part in re.split(r"\b[A-Z]+\b(?!['/])|\.\.\.|[()']", message) if len(part.strip()) > 4]


@pytest.fixture(scope="module")
def program() -> str:
    return sources()


def test_there_are_many():
    assert len(MESSAGES) > 40 and len(set(MESSAGES)) == len(MESSAGES)
    assert all(told(message) for message in MESSAGES)


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_one_of_the_program(message, program):
    for part in told(message):
        assert part in program, part
