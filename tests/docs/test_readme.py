"""README.md and README_CN.md: short, in step with one another, and what they tell to type works."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pages
import pytest

pytestmark = pytest.mark.xdist_group("readme")  # what one test makes the others use
READMES = ("README.md", "README_CN.md")
MOST_LINES, MOST_BYTES = 150, 300_000


@pytest.mark.parametrize("page", READMES)
def test_it_is_short_and_begins_with_its_title(page):
    text = pages.read(page)
    assert len(text.splitlines()) <= MOST_LINES and text.startswith("# ")


def skeleton(page: str) -> dict:
    text = pages.read(page)
    links = [link.replace("README_CN.md", "README.md") for link in re.findall(r"\]\(([^)]+)\)", text)]
    code = [(block.language, re.sub(r" *#.*", "", block.text), block.needs) for block in pages.blocks(page)]
    rows = [line.count("|") for line in text.splitlines() if line.startswith("|")]
    headings = [mark for mark, _ in re.findall(r"^(#+) (.*)", text, re.MULTILINE)]
    figures = [re.findall(r"\d+\.\d+", line) for line in text.splitlines() if line.startswith("|")]
    marks = re.findall(r"^<!-- (?:not in|in) a bundle.*", text, re.MULTILINE)
    return {"headings": headings, "links": links, "code": code, "rows": rows, "figures": figures, "marks": marks}


def test_both_have_the_same_headings_links_blocks_and_figures():
    english, chinese = map(skeleton, READMES)
    assert english == chinese
    assert len(english["links"]) > 20 and len(english["code"]) > 5


def test_the_pictures_are_there_and_small():
    pictures = set(re.findall(r"!\[[^\]]+\]\(([^)]+)\)", pages.read("README.md")))
    assert len(pictures) == 2
    for picture in pictures:
        data = (pages.ROOT / picture).read_bytes()
        assert data.startswith(b"\x89PNG") and len(data) < MOST_BYTES


def test_what_chinese_readers_type_is_what_the_english_pages_say():
    """Without the comments; so that no command of the manual is forgotten when one changes."""
    english = "\n".join(pages.read(page) for page in pages.PAGES if not page.endswith("_CN.md"))
    plain = re.sub(r"\s+", " ", re.sub(r" *#[^\n]*", "", english))
    for block in pages.blocks("docs/manual_CN.md", "bash"):
        for line in re.sub(r" *#[^\n]*", "", block.text).replace("\\\n", " ").splitlines():
            line = re.sub(r"\s+", " ", line.replace("选项]", "options]")).strip()
            if "..." not in line and "本机" not in line:
                assert line.split("[--")[0] in plain.replace("\\ ", ""), line


@pytest.fixture(scope="module")
def photos(toy, tmp_path_factory) -> Iterator[Path]:
    """The folder that the commands are typed in."""
    folder = tmp_path_factory.mktemp("readme")
    for source, name in (("train/good", "photos/good"), ("test/rust", "photos/bad"), ("test/rust", "incoming")):
        shutil.copytree(toy / "gear" / source, folder / name)
    (folder / "incoming" / "000.png").rename(folder / "incoming" / "00.jpg")  # as the page calls it
    with pages.Inside(folder):
        yield folder


def test_the_three_commands_work_as_they_stand(photos):
    [block] = [block for block in pages.blocks("README.md", "bash") if "predict.py" in block.text]
    said = []
    for words in pages.typed(block.text):
        done = pages.called(words, "--output_dir", str(photos / "output"))
        assert done.code == 0, f"{words}\n{done.out}\n{done.err}"
        said.append(done.out)
    check, train, predict = said
    assert "to train on" in check and "img_auc" in train
    assert re.match(r"(ANOMALOUS|NORMAL) +0\.\d{4}  incoming/00\.jpg", predict)


def test_the_python_lines_work_as_they_stand(photos, capsys):
    [block] = pages.blocks("README.md", "python")
    exec(block.text, {})
    assert capsys.readouterr().out.strip() in ("ANOMALOUS", "NORMAL")
    assert (photos / "lid" / "state.json").is_file()


def test_the_first_two_commands_are_scripts_that_tests_know():
    """The first is followed by test_quickstart; the second runs this test."""
    first = pages.words_of(pages.blocks("README.md", "bash")[0].text)
    assert first == [["bash", "scripts/quickstart.sh"], ["bash", "scripts/run_tests.sh"]]
