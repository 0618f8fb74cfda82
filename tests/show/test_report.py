"""Lines and tables of figures."""

import pytest

from anomaly.show.tables import FIGURES, RANDOM_MARK, figures, number, table


def result(category: str, value, random: bool = False) -> dict:
    found = {key: value for key, _ in FIGURES}
    verdicts = {"good": 4, "false_alarms": 1, "anomalous": 9, "missed": 2}
    more = {"threshold": 1.5, "threshold_chosen": "false alarm rate 0.01", "verdicts": verdicts}
    more |= {"random_backbone": random, "remark": ""}
    return {"category": category, **found, **more}


def rows(text: str) -> list:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if "|" in line]


def test_a_number_that_is_unknown_is_a_dash():
    assert number(None) == "-"
    assert number(0.12345) == "0.1235"
    assert number(0.5, 6) == "0.500000"


def test_the_first_line_of_figures_is_that_of_the_seeds():
    first = figures({**result("nut", 0.5), "pixel_auc": None}).splitlines()[0]
    assert first == "img_auc: 0.500000, pixel_auc: -"


def test_verdicts_are_said_in_words():
    text = figures(result("nut", 0.5))
    assert "1 of 4 good images called anomalous" in text
    assert "2 of 9 anomalous ones missed" in text


def test_without_a_threshold_nothing_is_said_of_verdicts():
    assert "threshold" not in figures({**result("nut", 0.5), "threshold": None})


@pytest.mark.parametrize("random", [False, True])
def test_random_backbones_and_only_they_are_marked(random):
    assert (RANDOM_MARK in figures(result("nut", 0.5, random))) is random
    assert (RANDOM_MARK in table([result("a", 0.5), result("b", 0.5, random)])) is random


def test_a_remark_is_said_once():
    remarked = {**result("b", 0.5), "remark": "chosen on test data"}
    assert "chosen on test data" in figures(remarked)
    assert table([result("a", 0.5), remarked, {**remarked, "category": "c"}]).count("chosen on test data") == 1


def test_the_mean_leaves_out_what_is_unknown():
    found = rows(table([result("a", 0.25), result("b", 0.75), {**result("c", 0.5), "aupro": None}]))
    assert found[0] == ["category", *(title for _, title in FIGURES)]
    assert [row[0] for row in found[2:]] == ["a", "b", "c", "mean"]
    assert found[4][3] == "-"
    assert found[5][1:] == ["0.5000"] * len(FIGURES)
    assert rows(table([{**result("a", None)}, {**result("b", None)}]))[-1][1:] == ["-"] * len(FIGURES)


def test_one_category_has_no_mean():
    assert [row[0] for row in rows(table([result("a", 0.25)]))[2:]] == ["a"]
