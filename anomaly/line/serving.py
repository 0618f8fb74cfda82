"""Serves an application until a signal comes, and ends it in order."""

import ipaddress
import signal
import socket
import time
from collections.abc import Callable
from typing import Any, Optional
from urllib.parse import urlsplit

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from anomaly.run.errors import DataError

CONNECTIONS = 512
COUNTED = "/predict"
Answered = Callable[[int, float], None]
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob: data:; media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


def impatient(seconds: float) -> type[H11Protocol]:
    """A connection on which no request is being answered has so long to send the head of one, or of its rest."""

    class Impatient(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.loop.call_later(seconds, self._look, None)

        def _look(self, before: Any) -> None:
            if self.transport.is_closing():
                self.transport.abort()  # what it was sent it does not read
                return
            idle = self.cycle is before and (before is None or before.response_complete)
            if idle:
                self.transport.close()
            self.loop.call_later(seconds, self._look, self.cycle)

    return Impatient


class Guard:
    """Turns away what other sites make a browser send, and adds to every answer what keeps a browser careful.

    `local`: it serves this machine alone and without a token, so it wants to be called by a name of this machine.
    `answered`: is told the status and the seconds of every answer to COUNTED, whoever gave it.
    """

    def __init__(self, app: Any, *, local: bool, answered: Answered) -> None:
        self.app, self.local, self.answered = app, local, answered

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        began = time.perf_counter()

        async def careful(message: Any) -> None:
            if message["type"] == "http.response.start":
                if scope["path"] == COUNTED:
                    self.answered(message["status"], time.perf_counter() - began)
                more = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        if reason := self.refused(dict(scope["headers"])):
            body = b'{"error":"%s"}' % reason.encode()
            headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
            await careful({"type": "http.response.start", "status": 403, "headers": headers})
            await careful({"type": "http.response.body", "body": body})
            return
        await self.app(scope, receive, careful)

    def refused(self, headers: dict) -> str:
        host = headers.get(b"host", b"").decode("latin-1")
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin and urlsplit(origin).netloc != host:
            return "sent by the page of another site"
        if self.local and not is_local(hostname(host)):
            return "without a token it answers to localhost alone"
        return ""


def hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def is_local(host: str) -> bool:
    if host.rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens, or one line that says why there is none."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=CONNECTIONS)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"--host {host} --port {port}: {reason}; choose another") from None


def serve(app: Any, listening: socket.socket, *, local: bool, seconds: float, answered: Answered) -> None:
    """Until SIGTERM or SIGINT: then no new connection is taken, and what was asked for is answered."""
    for number in (signal.SIGINT, signal.SIGTERM):  # which uvicorn raises again when it has ended
        signal.signal(number, lambda *_: None)
    server(app, local=local, seconds=seconds, answered=answered).run([listening])


def server(app: Any, *, local: bool, seconds: float, answered: Answered) -> uvicorn.Server:
    """`seconds`: that a request may take."""
    config = uvicorn.Config(
        Guard(app, local=local, answered=answered),
        http=impatient(seconds),
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=int(seconds) + 5,
    )
    return uvicorn.Server(config)


def address(listening: socket.socket, host: Optional[str] = None) -> str:
    found, port = listening.getsockname()[:2]
    name = host or found
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"
