"""anomaly compare: what it runs, what it says of it, and which one it would choose."""

import csv
import json
import random
import re
from dataclasses import replace
from pathlib import Path

import commands
import pytest

from anomaly.__main__ import main
from anomaly.commands import compare_pages, compare_runs
from anomaly.commands.compare_runs import Row
from anomaly.run.files import read_json

SIZE = ("--resize", "64", "--crop", "none", "--device_target", "CPU")
OPTIONS = (*SIZE, "--pre_ckpt_path", "random", "--backbones", "resnet18")


def compare(data, output, *more, options=OPTIONS):
    return commands.run(main, "compare", "--dataset_path", data, "--output_dir", output, *options, *more)


def called_here(command: list, log: Path) -> tuple:
    """A run without a process of its own, whose start takes longer than these trainings; the first test has them."""
    done = commands.run(main, *command[3:])
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(done.out + done.err)
    return done.code, 1


@pytest.fixture
def here(monkeypatch):
    monkeypatch.setattr(compare_runs, "called", called_here)


def rows(output) -> list:
    return [row for part in read_json(output / "compare.json")["comparison"] for row in part["rows"]]


def test_all_methods_and_then_only_what_has_changed(toy, tmp_path, monkeypatch):
    own = ("--num_epochs", "1", "--flow_step", "1", "--coreset_ratio", "0.2", "--embedding_dim", "20")
    done = compare(toy, tmp_path / "out", "--category", "gear", *own)
    assert (done.code, done.err) == (0, "")
    text = (tmp_path / "out" / "compare.md").read_text()
    assert done.out.endswith(f"{text}report: {tmp_path / 'out' / 'compare.html'}\n")
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len({tuple(i for i, sign in enumerate(line) if sign == "|") for line in table}) == 1  # in columns
    assert "RANDOM BACKBONE" in text and "figures say nothing" in text and "## gear" in text and "mean" not in text
    found = rows(tmp_path / "out")
    assert [(row["method"], row["backbone"]) for row in found] == [
        (m, "resnet18") for m in ("patchcore", "padim", "fastflow")
    ]
    for row in found:
        folder = tmp_path / "out" / f"{row['method']}-resnet18" / "gear"
        results = read_json(folder / "results.json")
        assert row["reason"] == "" and row["anomalous"] == 9 and row["good"] == 3
        assert all(row[name] == results[name] for name in ("img_auc", "pixel_auc", "aupro", "seconds_per_image"))
        assert (row["missed"], row["false_alarms"]) == tuple(results["verdicts"][n] for n in ("missed", "false_alarms"))
        named = [folder / name for name in read_json(folder / "state.json")["files"]]
        assert row["state_size"] == sum(
            p.stat().st_size for p in (*named, folder / "state.json", folder / "config.yaml")
        )
        assert 0.05 < row["training_seconds"] < 100 and row["peak_memory"] > 1e8
        options = read_json(folder / "state.json")["options"]
        assert options.get("num_epochs", 1) == 1 and options["resize"] == [64, 64]
    with open(tmp_path / "out" / "compare.csv", newline="") as file:
        assert [float(row["img_auc"]) for row in csv.DictReader(file)] == [row["img_auc"] for row in found]

    page = (tmp_path / "out" / "compare.html").read_text()
    links = re.findall(r'href="([^"]*)"', page)
    assert links == [f"{row['method']}-resnet18/gear/report.html" for row in found] and "RANDOM BACKBONE" in page
    assert all((tmp_path / "out" / link).is_file() for link in links)

    again = compare(toy, tmp_path / "out", "--category", "gear", *own)
    assert again.out.count("done before") == 3 and rows(tmp_path / "out") == found
    monkeypatch.setattr(compare_runs, "called", called_here)
    other = compare(toy, tmp_path / "out", "--category", "gear", *own[:-2], "--embedding_dim", "10")
    assert other.out.count("done before") == 2 and "padim with resnet18 ..." in other.out


def test_it_goes_on_where_it_was_stopped_and_starts_what_was_stopped_again(here, data, tmp_path, monkeypatch):
    real, calls = compare_runs.called, []

    def stopped(command, log):
        calls.append(command[4])
        if command[4] == "padim":
            raise KeyboardInterrupt
        return real(command, log)

    monkeypatch.setattr(compare_runs, "called", stopped)
    words = ("--category", "gear", "--methods", "patchcore,padim", "--embedding_dim", "20")
    assert compare(data, tmp_path / "out", *words).code == 130
    assert calls == ["patchcore", "padim"] and not (tmp_path / "out" / "compare.md").exists()
    monkeypatch.setattr(compare_runs, "called", real)
    done = compare(data, tmp_path / "out", *words)
    assert "gear: patchcore with resnet18: done before" in done.out and "gear: padim with resnet18 ..." in done.out
    commands.write(data / "gear" / "train" / "good" / "000.png", commands.picture())
    done = compare(data, tmp_path / "out", *words)
    assert done.code == 0 and "done before" not in done.out


def test_a_run_that_fails_is_a_row_that_says_why(here, data, tmp_path):
    words = ("--category", "gear", "--methods", "padim,patchcore", "--embedding_dim", "440", "--num_epochs", "1")
    refused = compare(data, tmp_path / "out", *words)
    assert refused.code == 2 and "--num_epochs: none of padim, patchcore knows it" in refused.errors[-1]
    names = ("--backbones", "efficientnet_lite0,resnet18")
    done = compare(data, tmp_path / "out", *words[:-2], *names, options=OPTIONS[:-2])
    assert done.code == 1 and done.errors[-1] == "error: failed: padim with efficientnet_lite0 (gear)"
    found = {(row["method"], row["backbone"]): row["reason"] for row in rows(tmp_path / "out")}
    assert "embedding_dim 440" in found.pop(("padim", "efficientnet_lite0"))
    assert set(found.values()) == {""} and len(found) == 3
    line = next(x for x in done.out.splitlines() if re.match(r"\| padim +\| efficientnet_lite0 +\|", x))
    assert "failed: " in line and line.count("|") == len(compare_pages.COLUMNS) + 1
    page = (tmp_path / "out" / "compare.html").read_text()
    assert "failed: " in page and len(re.findall("href=", page)) == 3 and "padim-efficientnet_lite0/" not in page


def test_what_ends_a_process_is_told(tmp_path):
    log = tmp_path / "log"
    for text, code, words in (("x\nerror: no\n", 1, "no"), ("", -9, "ended by signal 9"), ("", 3, "code 3")):
        log.write_text(text)
        assert words in compare_runs.why(log, code)


def test_several_categories_have_a_table_each_and_their_mean(here, toy, tmp_path):
    done = compare(toy, tmp_path / "out", "--category", "all", "--methods", "patchcore", "--coreset_ratio", "0.2")
    assert done.code == 0, done.err
    fabric, gear, mean = rows(tmp_path / "out")
    assert mean["img_auc"] == pytest.approx((fabric["img_auc"] + gear["img_auc"]) / 2)
    assert mean["missed"] == fabric["missed"] + gear["missed"] and mean["good"] == 6
    assert [line for line in done.out.splitlines() if line.startswith("## ")] == [
        "## fabric",
        "## gear",
        "## mean of 2 categories",
    ]


def test_without_test_images_only_times_are_compared(here, data, tmp_path):
    for kind in ("good", "rust", "scratch", "tooth_missing"):
        for path in (data / "gear" / "test" / kind).glob("*"):
            path.unlink()
    words = ("--category", "gear", "--test_share", "0", "--methods", "patchcore")
    options = (*SIZE, "--backbones", "efficientnet_lite0")
    done = compare(data, tmp_path / "out", *words, options=options)
    assert done.code == 0, done.err
    assert "There are no test images, so only times are compared: patchcore with efficientnet_lite0" in done.out
    [row] = rows(tmp_path / "out")
    assert row["img_auc"] is None and row["seconds_per_image"] is None and row["training_seconds"] > 0


def test_nothing_of_others_is_written_over(data, tmp_path):
    (tmp_path / "compare.csv").write_text("mine")
    done = compare(data, tmp_path, "--category", "gear")
    assert done.code == 1 and "was not written by this program" in done.err
    assert (tmp_path / "compare.csv").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--methods", "resnet"), "--methods resnet: no such method"),
        (("--backbones", "resnet19"), "--backbones: 'resnet19' is not one of"),
        (("--category", "nut"), "nut"),
        (("--resize", "wide"), "--resize: 'wide' is not allowed"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(data, tmp_path, words, said):
    done = compare(data, tmp_path / "out", *words)
    assert done.code in (1, 2) and said in done.errors[-1] and not (tmp_path / "out").exists()


def test_a_file_of_weights_is_of_one_network(data, tmp_path):
    (tmp_path / "w.pth").touch()
    done = compare(data, tmp_path / "out", "--category", "gear", options=(*SIZE, "--pre_ckpt_path", tmp_path / "w.pth"))
    assert done.code == 2 and "say of which with --backbones" in done.errors[-1]


def made(generator: random.Random, number: int) -> Row:
    values = (0.99, 0.992, 0.995, 0.9975, 1.0)
    return Row(
        "c",
        f"m{number}",
        "n",
        img_auc=generator.choice(values),
        pixel_auc=generator.choice((*values, 0.9)),
        missed=generator.randint(0, 1),
        anomalous=3,
        false_alarms=generator.randint(0, 1),
        good=3,
        training_seconds=1.0,
        seconds_per_image=generator.choice((0.01, 0.02, 0.0100001)),
        reason="broken" if generator.random() < 0.1 else "",
    )


def test_the_time_of_a_training_is_not_known_where_the_clock_was_set_in_between(tmp_path):
    record = tmp_path / "state.json"
    record.touch()
    now = record.stat().st_mtime
    assert compare_runs.training_seconds(record, now - 3, most=4) == pytest.approx(3)
    assert compare_runs.training_seconds(record, now + 3600, most=4) is None
    assert compare_runs.training_seconds(record, now - 3600, most=4) is None


def naive(found: list) -> list:
    """The rule again, by removing one row after the other."""
    left = [row for row in found if not row.reason]
    for name in ("img_auc", "pixel_auc"):
        if all(getattr(row, name) is not None for row in left):
            best = sorted((getattr(row, name) for row in left), reverse=True)[:1]
            left = [row for row in left if round((best[0] - getattr(row, name)) * 1e6) <= 5000]
    for keep in (lambda row: row.missed + row.false_alarms, lambda row: f"{row.seconds_per_image * 1000:.1f}"):
        least = sorted(map(keep, left))[:1]
        left = [row for row in left if [keep(row)] == least]
    return left


def test_the_choice_is_that_of_the_rule():
    generator = random.Random(1)
    for trial in range(300):
        found = [made(generator, number) for number in range(generator.randint(1, 7))]
        if trial % 3 == 0:
            found = [replace(row, pixel_auc=None) for row in found]
        choice = compare_pages.choose(found)
        assert list(choice.rows) == naive(found)
        assert all(f"{row.method} with n" in choice.sentence for row in choice.rows)
        assert ("are level" in choice.sentence) == (len(choice.rows) > 1)


def test_a_choice_that_only_time_has_made_says_so():
    first = Row("c", "padim", "n", img_auc=1.0, missed=0, anomalous=2, false_alarms=0, good=2, seconds_per_image=0.01)
    choice = compare_pages.choose([first, replace(first, method="patchcore", seconds_per_image=0.02)])
    assert choice.sentence == (
        "Choice: padim with n. Why: within 0.005 of the best image AUROC (1.0000): 2 of 2; of these with the fewest "
        "missed and false alarms (0): 2 of 2; of these the fastest: 10.0 ms a photograph."
    )
    near = compare_pages.choose([first, replace(first, method="patchcore", seconds_per_image=0.0108)])
    assert list(near.rows) == [first]
    assert near.sentence.endswith("Within 30 % of that time, which single runs do not tell apart: patchcore with n.")
    assert compare_pages.choose([replace(first, reason="no")]).sentence == "No choice: every run failed."


def test_what_looks_at_different_places_is_told():
    rows = [Row("c", name, "n", view=view) for name, view in (("padim", "the centre"), ("fastflow", "all"))]
    text = compare_pages.section("c", rows, choice=compare_pages.choose(rows))
    assert "(padim with n: the centre; fastflow with n: all)" in text
    assert compare_pages.views(rows[:1]) == []


def test_a_mean_is_of_what_all_categories_have():
    one = Row("a", "padim", "n", img_auc=1.0, pixel_auc=0.5, peak_memory=5, state_size=3)
    [mean] = compare_pages.means(
        {"a": [one], "b": [replace(one, category="b", img_auc=0.5, pixel_auc=None, peak_memory=9)]}
    )
    assert (mean.img_auc, mean.pixel_auc, mean.peak_memory, mean.state_size) == (0.75, None, 9, 3)
    [mean] = compare_pages.means({"a": [one], "b": [replace(one, category="b", reason="broken")]})
    assert mean.reason == "in b" and json.dumps(mean.img_auc) == "null"
