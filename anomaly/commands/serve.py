"""Serves models over HTTP: photographs in, verdicts out, with a page to try it.

anomaly serve --model bottle.onnx
anomaly serve --model lid=lid.onnx --model cap=output/patchcore/cap --host 0.0.0.0 --token SECRET

It answers to this machine alone unless --host says otherwise. A SIGTERM ends it when what was asked for is answered.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from anomaly.commands.at_line import add_detector, add_drift, opened, require_within
from anomaly.detector import Detector
from anomaly.line.uploads import Limits
from anomaly.run import device
from anomaly.run.errors import DataError, UsageError
from anomaly.run.flags import Parser

TOKEN = "ANOMALY_TOKEN"


def main(argv: Optional[Sequence[str]] = None) -> int:
    args = parser().parse_args(argv)
    limits = chosen_limits(args)
    token = chosen_token(args.token)
    require_packages()
    device.end_in_order()
    from anomaly.line import service, serving
    from anomaly.line.room import Room

    with serving.bound(args.host, args.port) as listening:
        detectors = named(args)
        local = serving.is_local(args.host)
        room = Room(detectors, limits=limits, batch_size=args.batch_size, window=args.drift_window, tell=say)
        for name, detector in detectors.items():
            say(f"{name}: {detector.method}, {detector.backbone.label}, on {detector.runs_on}")
        if not local and not token:
            say(f"warning: everyone who reaches {args.host} may use it; --token or {TOKEN} asks for a token")
        say(f"serving at {serving.address(listening)}")
        serving.serve(
            service.app(room, token=token),
            listening,
            local=local and not token,
            seconds=limits.seconds,
            answered=room.counts.answered,
        )
    say("ended in order")
    return 0


def parser() -> argparse.ArgumentParser:
    made, limits = Parser(str(__doc__)), Limits()
    add_detector(made, several=True)
    made.add_argument("--host", default="127.0.0.1", help="address to listen at (default: %(default)s)")
    made.add_argument("--port", type=int, default=8000, help="0: one that is free (default: %(default)s)")
    made.add_argument(
        "--token", help=f"what clients have to send; in the environment, as {TOKEN}, others cannot see it"
    )
    made.add_argument("--batch_size", type=int, default=8, help="photographs at once (default: %(default)s)")
    made.add_argument(
        "--most_megabytes", type=float, default=limits.megabytes, help="of a photograph's file (default: %(default)s)"
    )
    made.add_argument(
        "--most_megapixels", type=float, default=limits.megapixels, help="of a photograph (default: %(default)s)"
    )
    made.add_argument("--most_seconds", type=float, default=limits.seconds, help="of a request (default: %(default)s)")
    made.add_argument("--most_requests", type=int, default=limits.waiting, help="at once (default: %(default)s)")
    add_drift(made)
    made.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return made


def chosen_limits(args: argparse.Namespace) -> Limits:
    names = ("most_megabytes", "most_megapixels", "most_seconds", "most_requests", "batch_size")
    require_within(port=args.port, **{name: getattr(args, name) for name in names})
    if not args.host.strip():
        raise UsageError("--host: is empty; 0.0.0.0 stands for all addresses of this machine")
    return Limits(args.most_megabytes, args.most_megapixels, args.most_seconds, args.most_requests)


def chosen_token(given: Optional[str]) -> str:
    """An empty one would let everyone in."""
    token = os.environ.get(TOKEN) if given is None else given
    if token is not None and not token.strip():
        raise UsageError(f"--token, {TOKEN}: is empty; leave it out, or give one")
    return (token or "").strip()


def require_packages() -> None:
    try:
        import fastapi  # noqa: F401
        import python_multipart  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        wanted = "pip install -r requirements-serve.txt (or fastapi, uvicorn and python-multipart)"
        raise DataError(f"the package of {error.name} is not installed: {wanted}") from None


def named(args: argparse.Namespace) -> dict[str, Detector]:
    """The models by name: what stands before =, else the category, else the name of the file."""
    found: dict[str, Detector] = {}
    for word in args.model:
        name, path = ("", word) if Path(word).exists() or "=" not in word else word.split("=", 1)
        detector = opened(path, args)
        name = name or detector.category or Path(path).stem
        if name in found:
            raise UsageError(f"--model {word}: there is another one called {name}; give it a name: NAME={path}")
        found[name] = detector
    return found


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
