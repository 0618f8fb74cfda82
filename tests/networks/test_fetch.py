"""Downloads, from a server on this machine."""

import hashlib
import socket
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import commands
import pytest

from anomaly.networks import fetch as module
from anomaly.networks.fetch import fetch
from anomaly.run.errors import DataError
from pretrained import fetch as command

ADDRESSES = module.registry.addresses()
CONTENT = bytes(range(256)) * 5000
DIGITS = hashlib.sha256(CONTENT).hexdigest()[:8]
GOOD, WRONG, GONE, SLOW, SHORT = (f"{kind}-{DIGITS}" for kind in ("good", "wrong", "gone", "slow", "short"))


class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        kind = self.path.strip("/").split("-")[0]
        if kind == "gone":
            self.send_error(404)
            return
        if kind == "slow":
            time.sleep(1)
        content = CONTENT[:-1] + b"x" if kind == "wrong" else CONTENT
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with suppress(BrokenPipeError):  # who asks for the slow one does not wait for it
            self.wfile.write(content[: len(content) // 2] if kind == "short" else content)

    def log_message(self, *words):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("WEIGHTS_ADDRESS", raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as running:
        running.asked, running.daemon_threads = [], True
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        address = f"http://127.0.0.1:{running.server_port}"
        known = dict.fromkeys((GOOD, WRONG, GONE, SLOW, SHORT), address)
        monkeypatch.setattr(module.registry, "addresses", lambda: {**ADDRESSES, **known})
        yield running
        running.shutdown()
        thread.join()


def names(folder) -> list:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_file_with_the_right_checksum_is_kept(server, tmp_path):
    path = fetch(GOOD, tmp_path / "new")
    assert path == tmp_path / "new" / f"{GOOD}.pth"
    assert path.read_bytes() == CONTENT
    assert names(tmp_path / "new") == [path.name]


def test_a_file_that_is_there_is_not_fetched_again(server, tmp_path):
    fetch(GOOD, tmp_path)
    fetch(GOOD, tmp_path)
    assert server.asked == [f"/{GOOD}.pth"]


def test_a_damaged_file_is_fetched_again(server, tmp_path):
    (tmp_path / f"{GOOD}.pth").write_bytes(CONTENT[:100])
    assert fetch(GOOD, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("name", [WRONG, GONE, SLOW, SHORT])
def test_what_goes_wrong_is_one_line_with_the_address_and_leaves_nothing(server, tmp_path, name):
    with pytest.raises(DataError) as caught:
        fetch(name, tmp_path, timeout=0.3)
    text = str(caught.value)
    assert f"{module.registry.addresses()[name]}/{name}.pth" in text
    assert "\n" not in text
    assert names(tmp_path) == []


def test_a_wrong_checksum_is_called_that(server, tmp_path):
    with pytest.raises(DataError, match=f"checksum {DIGITS}"):
        fetch(WRONG, tmp_path)


def test_a_failed_download_keeps_the_file_that_was_there(server, tmp_path):
    (tmp_path / f"{WRONG}.pth").write_bytes(b"old")
    with pytest.raises(DataError):
        fetch(WRONG, tmp_path)
    assert (tmp_path / f"{WRONG}.pth").read_bytes() == b"old"


def test_a_whole_download_has_a_limit_too(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LIMIT", -1)
    with pytest.raises(DataError, match="not complete"):
        fetch(GOOD, tmp_path)
    assert names(tmp_path) == []


def test_a_refused_connection_says_where_to_put_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DataError, match=f"put it into {tmp_path}"):
        fetch(GOOD, tmp_path, address=f"http://127.0.0.1:{port}")
    assert names(tmp_path) == []


def test_a_server_that_speaks_something_else_is_no_answer(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def babble():
            connection, _ = listening.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")

        thread = threading.Thread(target=babble, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with pytest.raises(DataError, match=GOOD):
            fetch(GOOD, tmp_path, address=address)
        thread.join(5)
    assert names(tmp_path) == []


def test_another_address_comes_from_the_environment(server, tmp_path, monkeypatch):
    monkeypatch.setenv("WEIGHTS_ADDRESS", f"{module.registry.addresses()[GOOD]}/mirror")
    fetch(GOOD, tmp_path)
    assert server.asked == [f"/mirror/{GOOD}.pth"]


def test_the_command_prints_the_path_or_one_line(server, tmp_path):
    done = commands.run(command.main, GOOD, "--folder", tmp_path, "--no_convert")
    assert (done.code, done.out) == (0, f"{tmp_path / GOOD}.pth\n")
    failed = commands.run(command.main, GONE, "--folder", tmp_path, "--timeout", "2")
    assert failed.code == 1
    assert len(failed.errors) == 1
    assert failed.err.startswith("error: ")


def test_the_command_refuses_names_it_does_not_know(tmp_path):
    done = commands.run(command.main, "vgg16", "--folder", tmp_path)
    assert done.code == 2
    assert "vgg16" in done.err


def test_names_end_in_eight_digits_of_a_checksum():
    for name in module.registry.addresses():
        digits = name.rpartition("-")[2]
        assert len(digits) == 8
        assert int(digits, 16) >= 0


def test_a_folder_stands_for_the_file_of_the_right_name_in_it(tmp_path):
    name = "resnet18-f37072fd"
    assert module.checkpoint(str(tmp_path), name) == str(tmp_path / f"{name}.ckpt")
    assert module.checkpoint("", name) == str(module.PRETRAINED / f"{name}.ckpt")
    assert module.checkpoint("random", name) == "random"
    assert module.checkpoint("some.ckpt", name) == "some.ckpt"
