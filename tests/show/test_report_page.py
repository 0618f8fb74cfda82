"""What is in a report: its data against what it was made of, its bounds, and names that try to break it."""

import base64
import hashlib
import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import cv2
import numpy as np
import pytest
import reports

from anomaly.commands import results
from anomaly.measure.calibration import NONE, Calibration, Choice, threshold
from anomaly.measure.judgement import Judgement
from anomaly.run.errors import DataError
from anomaly.show import pictures
from anomaly.show.report import content, gallery, overview, page
from anomaly.show.tables import RANDOM_MARK

KNOWN = reports.calibration()
SCALES = KNOWN.at(0.01)
ROOM = Path(page.__file__).parent
HOSTILE = (
    "good/</script><script>alert(1)</script>.png",
    "hole/\"quoted\" 'single' & <b>bold</b> ${x} $title.png",
    "hole/line\nbreak\u2028and\u202eturned.png",
    "good/not\udcff unicode.png",
    "<!--/--!>.png",
)


class Tags(HTMLParser):
    """The elements of a page, and what stands in them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list = []
        self.words: list = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.words.append(data)

    def names(self) -> list:
        return [tag for tag, _ in self.tags]


def parsed(path: Path) -> Tags:
    return Tags(path.read_bytes().decode("utf-8"))  # strictly


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple:
    """A report's file, and the judgements it is of."""
    judgements = reports.several(SCALES)
    return reports.write(tmp_path_factory.mktemp("report"), judgements, known=KNOWN), judgements


def test_the_data_is_that_of_the_judgements(made):
    path, judgements = made
    data = reports.data_in(path)
    assert [image["name"] for image in data["images"]] == [each.sample.name for each in judgements]
    assert [image["score"] for image in data["images"]] == [each.score for each in judgements]
    assert [image["anomalous"] for image in data["images"]] == [each.sample.anomalous for each in judgements]
    assert data["threshold"] == SCALES.image.threshold
    assert data["good"] == sorted(KNOWN.scores)
    assert all(len(data["curves"][name]["x"]) > 1 for name in content.CURVES)


@pytest.mark.parametrize("robust", [False, True])
@pytest.mark.parametrize("number", [5, 40, 300])
def test_every_rate_leads_to_the_threshold_that_stands_beside_it(number, robust):
    known = reports.calibration(number)
    found = content.rates(known, known.at(Choice(robust=robust)))
    limits = [limit for _, limit in found]
    assert limits == sorted(set(limits)) and len(found) > 5
    for rate, limit in found:
        kept = known.without_dominating(rate) if robust else known
        assert limit == threshold(kept.scores, rate)
    if number == 40 and not robust:  # rates are fine enough for each score of a good photograph
        assert set(limits) >= {limit for limit in known.scores if limit >= threshold(known.scores, 0.9)}


def test_the_colours_are_those_of_the_pictures():
    rng = np.random.default_rng(0)
    image, level = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8), np.linspace(0, 1, 600).reshape(20, 30)
    table = np.array(content.colours())
    colour, strength = np.split(table[np.rint(level * 255).astype(int)], [3], axis=-1)
    wanted = pictures.overlay(image, level, scale=content.UNSCALED).astype(float)
    assert np.abs(image + (colour - image) * strength - wanted).max() < 8
    assert np.abs(colour - pictures.heat(level)).max() < 6


@pytest.mark.parametrize("shape", [(64, 64), (40, 400), (400, 40), (1, 1), (900, 1200), (1, 700)])
@pytest.mark.parametrize("share", [200_000, 8000, 2500])
def test_pictures_keep_proportions_and_stay_within_their_share(shape, share):
    each = reports.judged("hole/a.png", 4.0, scales=SCALES, shape=shape)
    found = gallery.drawing(each, side=300, share=share)
    assert len(found["photo"]) + len(found["map"]) + len(found["mask"]) <= share
    width, height = found["size"]
    photo = cv2.imdecode(np.frombuffer(base64.b64decode(found["photo"]), np.uint8), cv2.IMREAD_COLOR)
    assert photo.shape[:2] == (height, width)
    assert max(width, height) <= min(300, max(shape))
    wanted = shape[1] / shape[0]
    assert (width - 1) / (height + 1) <= wanted <= (width + 1) / max(height - 1, 1e-9)


def test_where_nothing_fits_there_is_no_picture_and_the_page_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(gallery, "BUDGET", 24 * 1500)
    judgements = reports.several(SCALES)
    judgements[3] = replace(judgements[3], image=np.zeros((64, 64, 3), np.uint8), map=np.zeros((64, 64), np.float32))
    path = reports.write(tmp_path, judgements, known=KNOWN)
    drawn = [image for image in reports.data_in(path)["images"] if "photo" in image]
    assert len(drawn) < 24
    assert sum(len(image["photo"]) + len(image["map"]) for image in drawn) <= gallery.BUDGET
    assert f"{len(drawn)} of 24 photographs have a picture" in path.read_text()


def test_pictures_become_smaller_with_the_number_of_photographs():
    sides = [gallery.Gallery(number).side for number in (0, 20, 500, 2000, 10_000, 10**6)]
    assert sides == sorted(sides, reverse=True)
    assert sides[0] == gallery.LARGEST and sides[2] >= 256 and sides[-1] == gallery.SMALLEST


def test_a_page_of_noise_stays_below_its_bound(tmp_path):
    judgements = reports.several(SCALES, good=60, bad=0, shape=(512, 512))
    path = reports.write(tmp_path, judgements, known=KNOWN)
    assert path.stat().st_size < gallery.BUDGET + 2_000_000


def test_the_worst_place_of_a_large_map_stays_to_be_seen():
    values = np.zeros((1000, 1500), np.float32)
    values[617, 1203] = 1
    small = pictures.worst(values, (50, 75))
    assert small.max() == 1 and np.argwhere(small == 1).tolist() == [[30, 60]]
    values = np.random.default_rng(0).random((96, 60)).astype(np.float32)
    assert np.array_equal(pictures.worst(values, (32, 30)), values.reshape(32, 3, 30, 2).max(axis=(1, 3)))
    assert pictures.worst(values, (41, 23)).max() == values.max()


def test_the_outline_of_a_mask_lies_around_it():
    mask = np.zeros((100, 200), bool)
    mask[20:40, 50:90] = mask[70:80, 150:190] = True
    path = gallery.outline_of(mask, (50, 100))
    assert path.count("M") == path.count("z") == 2
    drawn = np.zeros((50, 100), np.uint8)
    for line in re.findall(r"M([^z]*)z", path):
        corners = np.array(line.split(), int).reshape(-1, 1, 2)
        cv2.fillPoly(drawn, [corners], 1)
    wanted = mask[::2, ::2]
    assert (drawn.astype(bool) ^ wanted).sum() <= 0.2 * wanted.sum()
    assert gallery.outline_of(None, (5, 5)) == gallery.outline_of(np.zeros((9, 9), bool), (5, 5)) == ""


def test_the_outline_of_many_specks_is_short():
    mask = np.random.default_rng(0).random((500, 500)) < 0.01
    assert 0 < len(gallery.outline_of(mask, (500, 500))) < 12 * gallery.CORNERS


def test_hostile_names_stay_names(tmp_path):
    judgements = reports.several(SCALES, good=2, bad=2)
    tags = parsed(reports.write(tmp_path / "usual", judgements, known=KNOWN)).names()
    names = (*HOSTILE, *(each.sample.name for each in judgements))
    calm = Calibration(KNOWN.scores, KNOWN.peaks, tuple(f"{n} {HOSTILE[n % 4]}" for n in range(len(KNOWN.scores))))
    hostile = [reports.judged(name, 2.0 + n, scales=SCALES) for n, name in enumerate(names)]
    path = reports.write(tmp_path / "</script><b>", hostile, known=calm, category="</title><script>")
    found = parsed(path)
    assert sorted(found.names()) == sorted(tags)
    assert [image["name"] for image in reports.data_in(path)["images"]] == list(names)
    [embedded] = re.findall(r'id="data">(.*?)</script>', path.read_text(), re.DOTALL)
    assert not set("<>&") & set(embedded) and embedded.isascii()
    assert "</title><script>: patchcore with resnet18" in found.words
    assert "$" not in "".join(re.findall(r"<main>.*?<script", path.read_text(), re.DOTALL)).replace("${x} $title", "")


def style_of(text: str) -> str:
    [found] = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    return found


def test_the_page_may_run_what_it_holds_and_load_nothing(made):
    text = made[0].read_text()
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    [script] = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    for kind, inside in (("script", script), ("style", style_of(text))):
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert set(re.findall(r"\w+://[\w./]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\b(?:href|src)=[\"']?(?!#)\w", text.split("<script>")[0])


CASES = {
    "no image": [],
    "one good": [("good/a.png", 2.0)],
    "one defective": [("hole/a.png", 2.0)],
    "all good": [(f"good/{n}.png", 2.0 + n) for n in range(4)],
    "all wrong": [("good/a.png", 9.0), ("good/b.png", 8.0), ("hole/a.png", 1.0), ("hole/b.png", 0.5)],
    "all alike": [("good/a.png", 2.0), ("good/b.png", 2.0), ("hole/a.png", 2.0)],
    "far apart": [("good/a.png", 2.0), ("good/b.png", -1e30), ("hole/a.png", 1e30)],
}


@pytest.mark.parametrize("known", [KNOWN, NONE, Calibration(np.full(3, 2.0), np.full(3, 2.0))])
@pytest.mark.parametrize("case", CASES)
def test_few_and_strange_photographs_make_a_page_without_a_number_that_is_none(case, known, tmp_path):
    scales = known.at(0.01)
    judgements = [reports.judged(name, score, scales=scales) for name, score in CASES[case]]
    path = reports.write(tmp_path, judgements, known=known)
    text = path.read_text()
    assert "NaN" not in text.split("<script>")[0] and "Infinity" not in text.split("<script>")[0]
    data = reports.data_in(path)
    assert (data["threshold"] is None) is (known is NONE)
    assert len(data["images"]) == len(judgements)
    assert ("There is no threshold" in text) is (known is NONE)
    assert ("There were no test photographs" in text) is (not judgements)


def test_what_is_missing_is_said(tmp_path):
    unmasked = reports.several(SCALES, with_mask=False)
    text = reports.write(tmp_path / "a", unmasked, known=KNOWN).read_text()
    assert "There were no masks of defects" in text and RANDOM_MARK not in text
    random = replace(reports.BACKBONE, is_random=True)
    text = reports.write(tmp_path / "b", reports.several(SCALES), known=KNOWN, backbone=random).read_text()
    assert RANDOM_MARK in text
    outlier = Calibration(np.r_[KNOWN.scores, 40.0], np.r_[KNOWN.peaks, 40.0])
    text = reports.write(tmp_path / "c", reports.several(outlier.at(0.01)), known=outlier).read_text()
    assert "is unlike the other good photographs" in text and "decides the threshold alone" in text


def test_the_command_names_the_folder_of_the_state(tmp_path):
    assert content.command(tmp_path).endswith(f" {content.FOLDER}")
    place = tmp_path / "it's a lid"
    place.mkdir()
    (place / "state.json").touch()
    assert shlex.split(content.command(place)) == ["python", "-m", "anomaly", "threshold", str(place)]


def test_a_page_of_somebody_else_is_not_written_over(tmp_path):
    (tmp_path / "report.html").write_text("<!doctype html>\n<title>mine</title>")
    asked = []

    def judgements():
        asked.append(True)
        yield from ()

    about = {"random_backbone": False}
    with pytest.raises(DataError, match="not written by this program"):
        results.write(judgements(), 0, folder=tmp_path, most=0, about=about, good=(KNOWN, SCALES))
    assert not asked and "mine" in (tmp_path / "report.html").read_text()


def test_an_overview_links_the_reports_that_there_are(tmp_path):
    strange = "a b&<c>#%?é"
    for name in ("one", strange):
        reports.write(tmp_path / name, reports.several(SCALES, good=2, bad=2), known=KNOWN)
    rows = [[overview.Link(name, tmp_path / name), "<i>"] for name in ("one", strange, "not there")]
    table = overview.Table("</h2>", ("first", "second", "third"), [*rows, ["failed", "because"]], notes=("<u>",))
    overview.write(tmp_path / "report.html", "<title>", contents=[table])
    found = parsed(tmp_path / "report.html")
    links = [attributes["href"] for tag, attributes in found.tags if tag == "a"]
    assert [unquote(link) for link in links] == ["one/report.html", f"{strange}/report.html"]
    assert not {"i", "u"} & set(found.names()) and {"not there", "because", "<i>", "<u>"} <= set(found.words)


def test_the_scripts_and_styles_are_short_and_all_used():
    files = {path.name for path in ROOM.iterdir() if path.suffix in (".js", ".css", ".html")}
    assert files == {*page.SCRIPTS, *page.STYLES, "page.html", "frame.html"}
    for name in files:
        lines = (ROOM / name).read_text(encoding="utf-8").splitlines()
        assert len(lines) <= 250, name
        if name.endswith(".js"):
            assert max(map(len, lines)) <= 120 and "innerHTML" not in "".join(lines), name


def test_an_image_in_an_evaluation_is_drawn_as_it_is(made):
    path, judgements = made
    first: Judgement = judgements[0]
    record = reports.data_in(path)["images"][0]
    photo = cv2.imdecode(np.frombuffer(base64.b64decode(record["photo"]), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.abs(cv2.blur(photo, (9, 9)).astype(int) - cv2.blur(first.image, (9, 9))).mean() < 6
    level = cv2.imdecode(np.frombuffer(base64.b64decode(record["map"]), np.uint8), cv2.IMREAD_GRAYSCALE)
    wanted = pictures.levels(first.map, SCALES.pixel)[::2, ::2] * 255
    assert np.abs(level - wanted).mean() < 6
