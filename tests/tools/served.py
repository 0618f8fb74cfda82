"""A service to ask, over real connections."""

import http.client
import json
import threading
from contextlib import contextmanager
from types import SimpleNamespace

from tiny_model import photograph

from anomaly.data.images import encode
from anomaly.line import service, serving
from anomaly.line.room import Room
from anomaly.line.uploads import Limits

GOOD, BAD = (encode(photograph(1, defect=defect, side=100), ".png") for defect in (False, True))


@contextmanager
def served(detectors, *, token="", limits=None, local=True):
    """`ask` it, and look into its `room`."""
    told = []
    limits = limits or Limits(megabytes=1, seconds=5, waiting=16)
    room = Room(detectors, limits=limits, batch_size=4, window=100, tell=told.append)
    listening = serving.bound("127.0.0.1", 0)
    made = service.app(room, token=token)
    server = serving.server(made, local=local, seconds=limits.seconds, answered=room.counts.answered)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    port = listening.getsockname()[1]

    def ask(path="/predict", body=None, *, method=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request(method or ("GET" if body is None else "POST"), path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        is_json = "json" in answer.headers.get("content-type", "")
        return answer.status, json.loads(content) if is_json else content, answer.headers

    try:
        yield SimpleNamespace(ask=ask, room=room, port=port, told=told, server=server)
    finally:
        server.should_exit = True
        thread.join(30)
