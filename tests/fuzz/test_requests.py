"""Whatever is sent to the service, it answers that this is no request, or ends the connection; and goes on."""

import socket
from contextlib import suppress

import fuzzing
import pytest
import tiny_model
from hypothesis import given
from served import GOOD, served

import anomaly
from anomaly.line.uploads import Limits

HEAD = b"POST /predict?map=%s HTTP/1.1\r\nHost: localhost\r\n"
FORM = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n' + GOOD + b"\r\n--x--\r\n"
CHUNK = b"%x\r\n%s\r\n0\r\n\r\n" % (len(GOOD), GOOD)
REQUESTS = [
    HEAD % b"heat" + b"Content-Length: %d\r\n\r\n" % len(GOOD) + GOOD,
    HEAD % b"none" + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNK,
    HEAD % b"grey" + b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: %d\r\n\r\n" % len(FORM) + FORM,
    b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\nGET /models HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
]


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    model = tiny_model.write(tmp_path_factory.mktemp("model") / "part.onnx")
    with served({"part": anomaly.load(model)}, limits=Limits(megabytes=1, seconds=1, waiting=4)) as made:
        yield made
        assert made.ask(body=GOOD)[0] == 200 and made.told == []


@given(fuzzing.files(REQUESTS))
def test_requests(service, content):
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        with suppress(ConnectionError):  # it may have heard enough
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        with suppress(ConnectionError):
            while part := connection.recv(1 << 16):
                answer += part
    assert not answer or (answer.startswith(b"HTTP/1.1 ") and answer[9:10] in b"24"), answer[:200]
    assert b"Traceback" not in answer and b"root:" not in answer
