"""`anomaly watch` and `anomaly serve` as they are started: signals, kills, and what they load."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import tiny_model
from commands import CPU, run
from tiny_model import photograph

from anomaly.__main__ import main
from anomaly.commands import serve
from anomaly.data.images import encode
from benchmarks import killed, service

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return tiny_model.write(tmp_path_factory.mktemp("model") / "part.onnx")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(8):
        (folder / f"{number}.png").write_bytes(encode(photograph(number, defect=number % 4 == 0), ".png"))
    return folder


def test_killed_again_and_again_it_has_a_line_of_every_photograph_and_none_twice(model, pictures, tmp_path):
    """The long form is `python -m benchmarks.killed`."""
    contents = [path.read_bytes() for path in sorted(pictures.iterdir())]
    found = killed.tried(model, contents, number=60, kills=2, seconds=2, folder=tmp_path)
    assert found["killed"] == [-signal.SIGKILL] * 2
    assert (found["lines"], found["twice"], found["moved"], found["left"]) == (60, 0, 15, 45)
    assert found["exit code"] == 143


def test_watch_says_what_it_does_and_goes_on(model, pictures, tmp_path):
    words = ("watch", pictures, "--model", model, "--results", tmp_path / "r.csv", "--interval", "0.01", "--once")
    first, second = run(main, *words), run(main, *words)
    assert first.code == second.code == 0
    assert len(first.out.splitlines()) == 8 and first.out.count("ANOMALOUS") == 2
    assert second.out == "" and "r.csv: 8 photographs" in second.err
    assert len((tmp_path / "r.csv").read_text().splitlines()) == 9


@pytest.mark.parametrize(
    "more, code, said",
    [
        (("--results", "r.txt"), 2, ".csv"),
        (("--results", "r.csv", "--interval", "0"), 2, "--interval"),
        (("--results", "r.csv", "--batch_size", "0"), 2, "--batch_size"),
        (("--results", "r.csv", "--drift_window", "3"), 2, "--drift_window"),
        (("--results", "r.csv", "--drift_window", "9" * 20), 2, "--drift_window"),
        (("--results", "r.csv", "--interval", "inf"), 2, "--interval"),
        (("--results", "r.csv", "--interval", "1e300"), 2, "--interval"),
        (("--results", "r.csv", "--most_megapixels", "nan"), 2, "--most_megapixels"),
        (("--results", "r.csv", "--most_megapixels", "-1"), 2, "--most_megapixels"),
        (("--results", "r.csv", "--most_megabytes", "inf"), 2, "--most_megabytes"),
        (("--results", "r.csv", "--move_anomalous", "a", "--link_anomalous", "b"), 2, "one of them"),
        (("--results", "r.csv", "--move_anomalous", "{folder}"), 2, "folder of results"),
        ((), 2, "--results"),
    ],
)
def test_what_watch_cannot_do_is_one_line(model, pictures, more, code, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    more = [word.format(folder=pictures) for word in more]
    result = run(main, "watch", pictures, "--model", model, "--once", *more)
    assert result.code == code and said in result.errors[-1] and len(result.errors) == 1


def test_predict_watches_too(trained, toy, tmp_path):
    from patchcore import predict

    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(2):
        os.link(toy / "gear" / "test" / "good" / f"00{number}.png", folder / f"{number}.png")
    results = tmp_path / "r.jsonl"
    words = ("--output_dir", trained[0], "--category", "gear", "--image_path", folder, "--watch", *CPU)

    def stop():
        while len(killed.lines_of(results)) < 2:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    thread = threading.Thread(target=stop)
    thread.start()
    result = run(predict.main, *words, "--save_json", results, "--no_pictures", "--save_masks")
    thread.join()
    for number, handler in zip((signal.SIGINT, signal.SIGTERM), before):
        signal.signal(number, handler)
    assert result.code == 143 and len(result.out.splitlines()) == 2
    assert {path.name for path in (trained[0] / "gear" / "masks").iterdir()} >= {"0.png", "1.png"}
    assert run(predict.main, *words, "--save_json", results, "--fail_on_anomaly").code == 2


def test_a_load_of_clients_and_an_end_in_order(model, pictures):
    """The long form is `python -m benchmarks.service`."""
    found = service.measured(model, pictures, clients=8, seconds=1)
    assert found["wrong"] == {} and found["answers"] > 20 and found["refused"] > 2
    assert found["exit code"] == 0


def test_what_was_asked_for_before_the_end_is_answered(model, pictures):
    made, answers = service.Service("--model", model), []
    content = (pictures / "0.png").read_bytes()
    threads = [threading.Thread(target=lambda: answers.append(service.ask(made.port, content))) for _ in range(12)]
    for thread in threads:
        thread.start()
    while not answers:
        time.sleep(0.001)
    made.process.terminate()
    for thread in threads:
        thread.join(30)
    assert made.end() == 0 and made.said[-1] == "ended in order"
    assert all(status == 200 for status, _ in answers) and answers
    with pytest.raises(OSError):
        service.ask(made.port, content)


LOADED = """
import sys, threading
from anomaly.line import serving
serving.serve = lambda *_, **__: print(sorted(set(sys.modules) & {"mindspore", "torch", "sklearn", "faiss", "scipy"}))
from anomaly.commands.serve import main
sys.exit(main(sys.argv[1:]))
"""


def test_serving_an_onnx_file_loads_nothing_heavy(model):
    words = [sys.executable, "-c", LOADED, "--model", str(model), "--port", "0"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.strip() == "[]", done.stderr


def test_without_its_packages_it_says_what_to_install(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "fastapi", None)
    result = run(main, "serve", "--model", model)
    assert result.code == 1 and "pip install -r requirements-serve.txt" in result.errors[0]


@pytest.mark.parametrize(
    "more, said",
    [
        (("--token", ""), "--token"),
        (("--most_megabytes", "0"), "--most_megabytes"),
        (("--most_megabytes", "inf"), "--most_megabytes"),
        (("--most_seconds", "inf"), "--most_seconds"),
        (("--drift_window", "1"), "--drift_window"),
        (("--model", "{model}"), "another one called part"),
        (("--model", "x=nowhere.onnx"), "no such file"),
        (("--port", "99999"), "--port"),
        (("--host", "no.such.host.invalid"), "--host"),
    ],
)
def test_what_serve_cannot_do_is_one_line(model, more, said):
    result = run(main, "serve", "--model", model, "--port", "0", *(word.format(model=model) for word in more))
    assert result.code in (1, 2) and said in result.errors[-1]
    assert sum(line.startswith("error: ") for line in result.errors) == 1


def test_names_are_given_or_found(model, monkeypatch, tmp_path):
    other = tiny_model.write(tmp_path / "odd=name.onnx", category="lid")
    args = serve.parser().parse_args(["--model", str(other), "--model", f"a b={model}", "--model", str(model)])
    assert list(serve.named(args)) == ["lid", "a b", "part"]


def test_a_token_may_come_from_the_environment(monkeypatch):
    monkeypatch.setenv(serve.TOKEN, "abc")
    assert serve.chosen_token(None) == "abc" and serve.chosen_token("other") == "other"
    monkeypatch.delenv(serve.TOKEN)
    assert serve.chosen_token(None) == ""


def test_a_service_that_others_reach_without_a_token_warns(model, monkeypatch):
    monkeypatch.setattr("anomaly.line.serving.serve", lambda *_, **__: None)
    assert "warning" in run(main, "serve", "--model", model, "--port", "0", "--host", "0.0.0.0").err
    assert "warning" not in run(main, "serve", "--model", model, "--port", "0").err
    found = run(main, "serve", "--model", model, "--port", "0", "--host", "0.0.0.0", "--token", "abc")
    assert "warning" not in found.err and "abc" not in found.err + found.out


def test_the_answers_are_one_line_of_json_each_for_other_programs(model, pictures, tmp_path):
    results = tmp_path / "r.jsonl"
    words = ("watch", pictures, "--model", model, "--results", results, "--interval", "0.01", "--once")
    assert run(main, *words).code == 0
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    assert {"path", "verdict", "score", "regions", "time", "error"} <= rows[0].keys()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", rows[0]["time"])
