"""A service over HTTP: photographs in, verdicts out. `app` makes it of a room; what serves it is in serving.py."""

import asyncio
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from importlib.resources import files
from typing import Annotated, Any, Literal, Optional

from fastapi import Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from anomaly import __version__
from anomaly.line.answers import ANSWERS, BODY, Answer, Health, Models
from anomaly.line.batching import Closed
from anomaly.line.room import Room
from anomaly.line.uploads import Refused
from anomaly.run.errors import DataError, first_line

PAGES = {
    "": ("page.html", "text/html"),
    "docs": ("docs.html", "text/html"),
    "page.css": ("page.css", "text/css"),
    "page.js": ("page.js", "text/javascript"),
    "docs.js": ("docs.js", "text/javascript"),
}
IN_ADDRESS = ("model", "map", "name")  # of /predict
TEXT = (
    "Judges photographs by what good parts look like. Where a token is set, send it as `Authorization: Bearer TOKEN`."
)
SILENT: Any = dict.fromkeys(("tracing", "metrics", "logs", "operation_spans", "auto_configure"), False)
BUSY = {"Retry-After": "1"}


def app(room: Room, *, token: str = "") -> FastAPI:
    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(room.close)

    made = FastAPI(
        title="Anomaly detection",
        version=__version__,
        description=TEXT,
        lifespan=life,
        docs_url=None,  # FastAPI's own pages load their scripts from elsewhere
        redoc_url=None,
        telemetry=SILENT,
    )
    answering_errors(made, room.tell)
    with_pages(made)
    with_state(made, room, guarded=[Depends(asked_for(token))])
    with_predict(made, room, guarded=[Depends(asked_for(token))])
    return made


def asked_for(token: str) -> Any:
    wanted = f"Bearer {token}".encode()

    async def allowed(request: Request) -> None:
        given = request.headers.get("authorization", "").encode("latin-1")
        if token and not hmac.compare_digest(given, wanted):
            raise HTTPException(401, "a token is needed: Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"})

    return allowed


def with_predict(made: FastAPI, room: Room, *, guarded: list) -> None:
    busy = asyncio.Semaphore(room.limits.waiting)

    @made.post("/predict", response_model=Answer, responses=ANSWERS, openapi_extra=BODY, dependencies=guarded)
    async def predict(
        request: Request,
        model: Annotated[Optional[str], Query(description="Its name, where there are several.")] = None,
        map: Annotated[
            Literal["none", "grey", "heat", "overlay"],
            Query(
                description="A PNG of where it is anomalous: grey: of the photograph's size, 16 bits, 32768 at the "
                "threshold; heat: colours to lay over the photograph; overlay: the photograph with them."
            ),
        ] = "none",
        name: Annotated[str, Query(description="What the photograph is called.")] = "",
    ) -> Response:
        """Judges one photograph."""
        if busy.locked():
            raise Refused(503, f"{room.limits.waiting} requests are being worked on; try again")
        async with busy:
            return JSONResponse(await in_time(request, room, model=model, shown=map, name=name))


async def in_time(request: Request, room: Room, *, model: Optional[str], shown: str, name: str) -> dict:
    chosen, doing = room.chosen(model), (408, "the photograph did not arrive")
    try:
        async with asyncio.timeout(room.limits.seconds):
            content, called = await sent(request, room.limits.bytes)
            if not content:
                raise Refused(400, "no photograph was sent: the body, or the field `image` of a form, is empty")
            doing = (503, "no answer was found")
            return await room.predict(content, model=chosen, name=name or called, shown=shown)
    except TimeoutError:
        raise Refused(doing[0], f"{doing[1]} within {room.limits.seconds:g} seconds") from None
    except Closed:
        raise Refused(503, "the service ends") from None
    except ClientDisconnect:
        raise Refused(400, "the photograph did not arrive") from None


async def sent(request: Request, most: int) -> tuple:
    """The photograph in a request, and its name: the body, or a file in a form."""
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Refused(415, "the body is encoded; send the photograph as it is")
    kind = request.headers.get("content-type", "").lower()
    if kind.startswith(("text/", "application/json")):
        raise Refused(415, f"{kind.partition(';')[0]} is no photograph; send its file as the body")
    content = await body(request, most)
    if not kind.startswith("multipart/form-data"):
        return content, ""

    async def again() -> dict:
        return {"type": "http.request", "body": content, "more_body": False}

    async with Request(request.scope, again).form(max_files=1, max_fields=8) as form:
        misplaced = [name for name in IN_ADDRESS if isinstance(form.get(name), str)]
        if misplaced:  # a model that is asked for there must not be another's answer
            raise Refused(
                400, f"`{misplaced[0]}` belongs into the address, /predict?{misplaced[0]}=..., not into the form"
            )
        found = [value for value in form.values() if isinstance(value, UploadFile)]
        if not found:
            raise Refused(400, "the form holds no file; send the photograph as its field `image`")
        return await found[0].read(), found[0].filename or ""


async def body(request: Request, most: int) -> bytes:
    too_large = Refused(413, f"more than {most / 1e6:g} MB, which is the most that is taken")
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > most:
        raise too_large
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise too_large
        parts.append(part)
    return b"".join(parts)


def with_state(made: FastAPI, room: Room, *, guarded: list) -> None:
    @made.get("/health", response_model=Health)
    async def health() -> Response:
        """Whether photographs are taken. It needs no token."""
        return JSONResponse({"status": "ok"})

    @made.get("/models", response_model=Models, dependencies=guarded)
    async def models() -> Response:
        """The models by their names, and whether photographs still score as they did."""
        return JSONResponse({name: room.about(name) for name in room.detectors})

    @made.get("/metrics", response_class=PlainTextResponse, dependencies=guarded)
    async def metrics() -> Response:
        """For Prometheus."""
        text = "\n".join(room.metrics()) + "\n"
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def with_pages(made: FastAPI) -> None:
    for place, (name, kind) in PAGES.items():
        answer = partial(Response, (files("anomaly.line") / "page" / name).read_bytes(), media_type=kind)
        made.add_route(f"/{place}", page(answer), include_in_schema=False)


def page(answer: Callable[[], Response]) -> Callable[[Request], Awaitable[Response]]:
    async def answered(request: Request) -> Response:
        return answer()

    return answered


def answering_errors(made: FastAPI, tell: Callable[[str], None]) -> None:
    """Everything that goes wrong is JSON with one key, `error`. What is no fault of the client is in the log too."""

    @made.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> Response:
        return told(error.status, error.reason, headers=BUSY if error.status == 503 else None)

    @made.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        return told(422, f"{'.'.join(map(str, first['loc'][1:]))}: {first['msg']}")

    @made.exception_handler(HTTPException)
    async def plain(request: Request, error: HTTPException) -> Response:
        return told(error.status_code, str(error.detail), headers=dict(error.headers or {}))

    @made.exception_handler(DataError)
    async def failed(request: Request, error: DataError) -> Response:
        tell(f"500: {error}")
        return told(500, str(error))

    @made.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        tell(f"500: {type(error).__name__}: {first_line(error, 300)}")  # its traceback follows
        return told(500, "something went wrong; the log of the service says what")


def told(status: int, reason: str, *, headers: Optional[dict] = None) -> Response:
    return JSONResponse({"error": reason}, status, headers)
