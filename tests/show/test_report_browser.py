"""A report in a real browser: what moves with the slider against Python, keys, widths, and who cannot see it."""

import itertools
import re
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import reports
from PIL import Image
from selenium.webdriver.common.keys import Keys

from anomaly.commands import compare_pages, threshold
from anomaly.measure.calibration import NONE, Calibration
from anomaly.show import pictures
from anomaly.show.report import overview

pytestmark = pytest.mark.xdist_group("report-browser")  # one browser for all
KNOWN = reports.calibration()
SCALES = KNOWN.at(0.01)
WIDTHS = (1280, 390)


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict:
    """Files of reports by what they show."""
    folder = tmp_path_factory.mktemp("pages")
    usual = reports.several(SCALES)
    usual[0] = replace(usual[0], sample=replace(usual[0].sample, called="</script><b>'\"\n.png"))
    shapes = [(30, 300), (300, 30), (1, 1), (700, 900)]
    strange = [
        reports.judged(f"hole/{n}{'x' * 120}.png", 2.0 + n, scales=SCALES, shape=s) for n, s in enumerate(shapes)
    ]
    unknown = reports.several(NONE.at(0.01), good=2, bad=2, with_mask=False)
    table = overview.Table(
        "gear",
        compare_pages.COLUMNS,
        [[overview.Link(f"method {n}", folder / "usual"), *"123456789"] for n in range(3)],
    )
    overview.write(folder / "compare.html", "Comparison", contents=[table], about="words " * 40)
    return {
        "overview": (folder / "compare.html", []),
        "usual": (reports.write(folder / "usual", usual, known=KNOWN), usual),
        "strange": (reports.write(folder / "strange", strange, known=KNOWN, category="c" * 150), strange),
        "empty": (reports.write(folder / "empty", [], known=KNOWN), []),
        "unknown": (reports.write(folder / "unknown", unknown, known=NONE), unknown),
    }


FAR = {
    "negative": (Calibration(KNOWN.scores / 1e9 - 3e-7, KNOWN.peaks), [-3.1e-7, -3e-7, -2.99e-7, -2.5e-7, -1e-7]),
    "very far out": (KNOWN, [-200.0, 1.8, 2.2, 2.6, 3.1, 4.5, 40.0, 1e3]),
    "all alike in training": (Calibration(np.full(3, 2.0), np.full(3, 2.0)), [1.0, 2.0, 3.0, 4.0, 5.0]),
}


@pytest.mark.parametrize("name", FAR)
def test_the_slider_tells_scores_apart_wherever_they_lie(name, browser, tmp_path):
    known, scores = FAR[name]
    judgements = [reports.judged(f"hole/{n}.png", score, scales=known.at(0.01)) for n, score in enumerate(scores)]
    browser.open(reports.write(tmp_path, judgements, known=known), width=390)
    commands = browser.js(
        "const s = document.getElementById('slider'), said = [];"
        "for (let i = 0; i <= 1000; i += 1) { s.value = i; s.dispatchEvent(new Event('input'));"
        "said.push(document.getElementById('command-value').textContent); } return said"
    )
    limits = [understood(command).value for command in commands]
    assert limits == sorted(limits)
    found = {sum(score > limit for score in scores) for limit in limits}
    assert found == set(range(len(scores) + 1)), limits[::100]
    assert browser.js("return document.documentElement.scrollWidth") == 390 and browser.js(OUTSIDE) == []
    assert browser.errors() == []


@pytest.fixture(scope="module")
def usual(pages) -> tuple:
    return pages["usual"]


def slide(browser, place: int) -> float:
    """Moves the slider; the threshold that the page then says to type."""
    browser.js(
        "const s = document.getElementById('slider'); s.value = arguments[0];"
        "s.dispatchEvent(new Event('input', {bubbles: true}));",
        place,
    )
    return typed(browser).value


def typed(browser, name: str = "command-value"):
    """A command that the page says to type."""
    return understood(text(browser, name))


def understood(command: str):
    words = shlex.split(command)
    assert words[:4] == ["python", "-m", "anomaly", "threshold"]
    return threshold.parser().parse_args(words[4:])


def text(browser, name: str) -> str:
    return browser.js("return document.getElementById(arguments[0]).textContent", name)


def cards(browser) -> list:
    """Name and verdict of each photograph that is shown, in order."""
    return browser.js(
        "return [...document.querySelectorAll('#gallery li')]"
        ".map((li) => [li.querySelector('.name').textContent, li.querySelector('.verdict').textContent])"
    )


def named(judgements: list, limit: float) -> dict:
    """What each is to be called at a threshold."""
    words = {(True, True): "anomalous", (True, False): "missed", (False, True): "false alarm", (False, False): "normal"}
    return {each.sample.name: words[each.sample.anomalous, each.score > limit] for each in judgements}


@pytest.mark.parametrize("place", [0, 300, 500, 640, 1000])
def test_the_slider_moves_counts_verdicts_and_what_to_type(place, browser, usual):
    path, judgements = usual
    browser.open(path)
    limit = slide(browser, place)
    called = {(bad, above): 0 for bad in (True, False) for above in (True, False)}
    for each in judgements:
        called[each.sample.anomalous, each.score > limit] += 1
    ids = {(False, False): "good-normal", (False, True): "good-anomalous"}
    ids |= {(True, False): "bad-normal", (True, True): "bad-anomalous"}
    assert {key: int(text(browser, name)) for key, name in ids.items()} == called
    found, alarms, missed = called[True, True], called[False, True], called[True, False]
    wanted = {
        "precision": found / (found + alarms) if found + alarms else None,
        "recall": found / (found + missed),
        "f1": 2 * found / (2 * found + alarms + missed),
    }
    for name, value in wanted.items():
        assert text(browser, name) == ("-" if value is None else f"{value:.4f}"), name
    assert text(browser, "dock-says").startswith(f"{missed} missed, {alarms} false alarm")
    assert browser.js("return [...document.querySelectorAll('.slider')].map((s) => +s.value)") == [place, place]
    assert text(browser, "above") == f"{KNOWN.above(limit)} of {len(KNOWN.scores)}"
    assert dict(cards(browser)) == named(judgements, limit)
    rate = typed(browser, "command-rate").false_alarm_rate
    said = float(re.findall(r"threshold ([-\d.e]+)", text(browser, "typed-rate"))[0])
    own = KNOWN.at(rate).image.threshold
    assert own == pytest.approx(said, rel=1e-4)
    others = [KNOWN.at(rate).image.threshold for rate in np.linspace(0.01, 0.99, 99)]
    assert abs(own - limit) <= min(abs(np.array(others) - limit)) + 1e-9
    browser.wait("document.getElementById('said').textContent.length")
    assert f"{alarms} of 12 good" in text(browser, "said") and f"{missed} of 12 defective" in text(browser, "said")
    assert browser.errors() == []


def test_at_first_it_is_as_the_evaluation_found(browser, usual):
    path, judgements = usual
    browser.open(path)
    shown = cards(browser)
    limit = SCALES.image.threshold
    assert dict(shown) == named(judgements, limit)
    wrong = [verdict in ("missed", "false alarm") for _, verdict in shown]
    scores = {each.sample.name: each.score for each in judgements}
    order = sorted(scores, key=lambda name: (not wrong[[n for n, _ in shown].index(name)], -scores[name]))
    assert [name for name, _ in shown] == order and 0 < sum(wrong) < 24
    assert typed(browser).value == limit
    assert "the one in force" in text(browser, "typed-value")


def test_a_rate_in_the_table_can_be_tried_and_taken_back(browser, usual):
    browser.open(usual[0])
    before = text(browser, "command-value")
    limit = KNOWN.at(0.1).image.threshold
    [button] = [
        b for b in browser.driver.find_elements("css selector", "#rates button") if "of 0.1" in b.accessible_name
    ]
    browser.js("arguments[0].click()", button)
    assert typed(browser).value == limit
    assert typed(browser, "command-rate").false_alarm_rate == 0.1
    assert limit in KNOWN.scores and text(browser, "above") == f"{KNOWN.above(limit)} of 40"  # itself is not above it
    browser.js("document.getElementById('reset').click()")
    assert text(browser, "command-value") == before


def test_a_threshold_can_be_typed_and_moved_by_keys(browser, usual):
    path, judgements = usual
    browser.open(path)
    field = browser.driver.find_element("id", "value")
    field.clear()
    field.send_keys("2.25")
    assert typed(browser).value == 2.25
    assert dict(cards(browser)) == named(judgements, 2.25)
    slider = browser.driver.find_element("id", "slider")
    slider.send_keys(Keys.ARROW_RIGHT)
    assert 2.25 < typed(browser).value < 2.3
    assert slider.get_attribute("aria-valuetext")


def test_photographs_are_filtered_by_kind_and_verdict(browser, usual):
    path, judgements = usual
    browser.open(path)
    called = named(judgements, SCALES.image.threshold)
    choose = (
        "const s = document.getElementById(arguments[0]); s.value = arguments[1]; s.dispatchEvent(new Event('change'))"
    )
    wanted = {
        ("kind", "=hole"): {name for name in called if name.startswith("hole/")},
        ("verdict", "wrong"): {name for name, word in called.items() if word in ("missed", "false alarm")},
        ("verdict", "alarm"): {name for name, word in called.items() if word == "false alarm"},
        ("verdict", "missed"): {name for name, word in called.items() if word == "missed"},
        ("verdict", "right"): {name for name, word in called.items() if word in ("normal", "anomalous")},
        ("verdict", "ANOMALOUS"): {name for name, word in called.items() if word in ("anomalous", "false alarm")},
        ("verdict", "NORMAL"): {name for name, word in called.items() if word in ("normal", "missed")},
    }
    for (control, value), names in wanted.items():
        browser.js(choose, control, value)
        assert {name for name, _ in cards(browser)} == names, value
        assert text(browser, "shown").startswith(f"{len(names)} of 24")
        browser.js(choose, control, "")
    assert len(cards(browser)) == 24


def test_maps_have_the_colours_of_the_pictures(browser, usual):
    path, judgements = usual
    browser.open(path)
    browser.js(
        "document.querySelector('input[value=map]').click(); document.getElementById('gallery').scrollIntoView()"
    )
    browser.wait("gallery.visible.size && document.querySelector('#gallery canvas').width === 64")
    name = cards(browser)[0][0]
    [each] = [each for each in judgements if each.sample.name == name]
    found = browser.js(
        "const c = document.querySelector('#gallery canvas');"
        "return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
    )
    shown = np.array(found).reshape(64, 64, 4)
    assert (shown[..., 3] == 255).all()
    wanted = pictures.heat(pictures.levels(each.map, SCALES.pixel)).astype(int)
    assert np.median(np.abs(shown[..., :3] - wanted).max(axis=2)) <= 8
    assert np.abs(shown[20, 20, :3] - wanted[20, 20]).max() < 40  # inside the spot


def test_the_red_line_moves_with_the_threshold(browser, usual):
    browser.open(usual[0])
    browser.js("document.getElementById('photographs').scrollIntoView()")

    def red() -> int:
        script = (
            "let n = 0; for (const c of document.querySelectorAll('#gallery canvas')) {"
            "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
            "for (let i = 0; i < d.length; i += 4) n += d[i] === 220 && d[i + 1] === 30 && d[i + 2] === 30; } return n"
        )
        return browser.js(script)

    browser.wait("[...document.querySelectorAll('#gallery canvas')].filter((c) => c.width === 64).length >= 12")
    first = red()
    slide(browser, 1000)
    browser.wait("document.getElementById('said').textContent.includes('12 of 12 defective')")
    assert first > 100 and red() == 0


def test_a_photograph_is_enlarged_and_left_by_keys(browser, usual):
    browser.open(usual[0])
    driver = browser.driver
    names = [name for name, _ in cards(browser)]
    driver.find_elements("css selector", "#gallery button")[0].send_keys(Keys.ENTER)
    assert browser.js("return document.getElementById('viewer').open")
    seen = [text(browser, "viewer-name")]
    for _ in range(len(names) + 2):
        driver.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
        seen.append(text(browser, "viewer-name"))
    assert seen == [*names, *names[-1:] * 3]
    driver.find_element("css selector", "#panels img").click()  # which takes the focus from the buttons
    driver.switch_to.active_element.send_keys(Keys.ARROW_LEFT)
    assert text(browser, "viewer-name") == names[-2]
    assert browser.js("return document.querySelectorAll('#panels img[alt]').length") == 3
    driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not browser.js("return document.getElementById('viewer').open")
    browser.wait(f"document.activeElement.querySelector('.name')?.textContent === {names[-2]!r}")
    assert browser.errors() == []


OUTSIDE = """
const wide = document.documentElement.clientWidth;
return [...document.querySelectorAll('body *:not(script)')].filter((e) => {
  const box = e.getBoundingClientRect();
  const style = getComputedStyle(e);
  if (!box.width || e.closest('.hidden, .skip, dialog:not([open]), canvas')) return false;
  const words = !e.children.length && !(e instanceof SVGElement) && e.textContent.length > 12;
  const letters = words && box.height > 5 * box.width;  // one below the other
  const cut = e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0 && style.overflowX !== 'visible';
  return box.right > wide + 0.5 || box.left < -0.5 || cut || letters;
}).map((e) => e.outerHTML.slice(0, 120));
"""


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["usual", "strange", "empty", "unknown", "overview"])
def test_nothing_is_cut_off_and_all_can_be_read(name, width, browser, pages, tmp_path):
    path, judgements = pages[name]
    browser.open(path, width=width)
    for large in (False, True) if judgements else (False,):
        if large:
            browser.js("document.querySelector('#gallery button').click()")
        assert browser.js("return document.documentElement.scrollWidth") == width
        assert browser.js(OUTSIDE) == []
        shown = []
        for dark in (False, True):
            browser.device(width, dark=dark)
            assert browser.js(FAINT) == [], dark
            assert browser.driver.save_screenshot(str(tmp_path / f"{name}_{large}_{dark}.png"))
            with Image.open(tmp_path / f"{name}_{large}_{dark}.png") as image:
                assert image.width == width
                shown.append(np.asarray(image)[::5, ::5, :3])
            assert len(np.unique(shown[-1].reshape(-1, 3), axis=0)) > 10
        assert shown[0].mean() > shown[1].mean() + 40
    assert browser.errors() == []


# Texts whose contrast with what lies behind them is below that of WCAG's level AA.
FAINT = """
const parse = (text) => text.match(/[\\d.]+/g).map(Number);
const channel = (v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const behind = (e) => {
  for (; e; e = e.parentElement) {
    const colour = parse(getComputedStyle(e).backgroundColor);
    if (colour.length === 3 || colour[3] === 1) return colour;
  }
  return [255, 255, 255];
};
return [...document.querySelectorAll('body *')].filter((e) => {
  const written = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  if (!written || !e.getClientRects().length || e.closest('script, noscript, option')) return false;
  const style = getComputedStyle(e);
  const ink = parse(e instanceof SVGElement ? style.fill : style.color);
  const [a, b] = [light(ink), light(behind(e))];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5;
}).map((e) => e.outerHTML.slice(0, 120));
"""


@pytest.mark.parametrize("name", ["usual", "empty", "unknown"])
def test_who_cannot_see_it_is_told_what_is_there(name, browser, pages):
    path, judgements = pages[name]
    browser.open(path)
    assert browser.js("return document.documentElement.lang") == "en"
    assert browser.js("return [...document.images].filter((i) => !i.alt).length") == 0
    controls = browser.driver.find_elements("css selector", "button, input, select, [role=img], [role=region]")
    seen = [control for control in controls if control.is_displayed()]
    assert len(seen) > 2 and [c.get_attribute("outerHTML") for c in seen if not c.accessible_name] == []
    levels = browser.js(
        "return [...document.querySelectorAll('h1, h2, h3')].filter((h) => h.offsetParent).map((h) => +h.tagName[1])"
    )
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    ids = browser.js("return [...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))
    assert browser.js("return [...document.querySelectorAll('[aria-live]')].map((e) => e.id).sort()")[0] == "said"
    chooser = browser.js("return !document.getElementById('chooser').hidden")
    assert chooser is (name != "unknown")
    assert bool(judgements) is browser.js("return !document.getElementById('gallery-part').hidden")


def test_whoever_uses_keys_sees_where_they_are(browser, usual):
    browser.open(usual[0])
    widths, seen = set(), set()
    for _ in range(14):
        browser.driver.switch_to.active_element.send_keys(Keys.TAB)
        width, name = browser.js(
            "const e = document.activeElement; return [getComputedStyle(e).outlineWidth, e.id || e.textContent]"
        )
        widths.add(width)
        seen.add(name)
    assert widths == {"3px"} and {"slider", "value", "reset"} <= seen


def test_many_photographs_are_quick(browser, tmp_path):
    judgements = reports.several(SCALES, good=250, bad=250, shape=(32, 32))
    browser.open(reports.write(tmp_path, judgements, known=KNOWN))
    assert len(cards(browser)) == 60
    times = browser.js(
        "const s = document.getElementById('slider'), times = [];"
        "for (let i = 0; i < 60; i += 1) { s.value = 16 * i; const start = performance.now();"
        "s.dispatchEvent(new Event('input')); document.body.offsetHeight; times.push(performance.now() - start); }"
        "return times"
    )
    assert np.median(times) < 50, times
    browser.js("document.getElementById('more').scrollIntoView()")
    browser.wait("document.querySelectorAll('#gallery li').length >= 120")
    assert browser.js("return document.querySelectorAll('#gallery img').length") >= 120
    assert browser.errors() == []


def test_the_data_is_what_python_wrote(browser, usual):
    path: Path = usual[0]
    browser.open(path)
    assert browser.js("return data.images.map((image) => image.name)") == [each.sample.name for each in usual[1]]
    assert browser.js("return document.querySelectorAll('#gallery b').length") == 0
