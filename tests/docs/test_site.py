"""The site of docs/ is built without a warning, shows every page, and loads nothing from elsewhere."""

import html.parser
import os
import subprocess
import sys
from pathlib import Path

import pages
import pytest
from pages import ROOT

pytestmark = pytest.mark.xdist_group("site")  # what one test makes the others use
# Elements and the attribute by which a browser loads something at once; links that a reader follows are not among them.
LOADED = {"script": "src", "img": "src", "iframe": "src", "link": "href", "source": "src", "video": "src"}


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr
    assert "not included in the" not in done.stderr, done.stderr  # a page that mkdocs.yml does not list
    return folder


class Loads(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag in LOADED and values.get("rel") != "canonical":
            self.found.append(values.get(LOADED[tag]) or "")


def test_every_page_is_there(site):
    for page in pages.PAGES:
        name = "index.html" if page == "README.md" else page.replace(".md", ".html")
        assert (site / name).is_file(), name
    assert "docs/pictures/quickstart.png" in (site / "index.html").read_text(encoding="utf-8")
    assert (site / "docs" / "pictures" / "quickstart.png").is_file()


def test_no_page_loads_anything_from_the_network(site):
    found = list(site.rglob("*.html"))
    assert len(found) > 20
    for page in found:
        loads = Loads()
        loads.feed(page.read_text(encoding="utf-8"))
        assert loads.found
        for address in loads.found:
            assert not address.startswith(("http:", "https:", "//")), f"{page.name} loads {address}"
    for style in site.rglob("*.css"):
        assert "url(http" not in style.read_text(encoding="utf-8"), style
