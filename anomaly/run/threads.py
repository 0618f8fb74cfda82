"""Work that goes on while the main thread does something else. What fails there is raised here."""

import functools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Optional


def cores() -> int:
    return len(os.sched_getaffinity(0))


@functools.lru_cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cores())


os.register_at_fork(after_in_child=_pool.cache_clear)  # where threads of the parent are not


def parallel(work: Callable, items: list, *, report: Optional[Callable] = None) -> list:
    """What `work` makes of each item, on all cores. It must not call this again. `report` is told of each, in turn."""
    found = []
    for item, result in zip(items, _pool().map(work, items)):
        found.append(result)
        if report:
            report(item)
    return found


def spans(count: int, size: int) -> list:
    """Slices that cut 0..count into pieces of this size."""
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


AHEAD = 2  # items that are worked on while another one is used


def ahead(items: Iterable, work: Callable, *, threads: bool = True) -> Iterator[tuple]:
    """Each item and what `work` makes of it, the next ones being worked on in threads while the last one is used."""
    if not threads:
        yield from ((item, work(item)) for item in items)
        return
    with ThreadPoolExecutor(max_workers=AHEAD) as pool:
        pending: deque = deque()
        for item in items:
            pending.append((item, pool.submit(work, item)))
            if len(pending) > AHEAD:
                item, future = pending.popleft()
                yield item, future.result()
        for item, future in pending:
            yield item, future.result()


class Background:
    """Calls functions in a few threads; the block ends when all have returned."""

    def __init__(self, threads: int = 2) -> None:
        self.pool = ThreadPoolExecutor(max_workers=threads)
        self.most = 4 * threads  # that wait; what they hold is memory
        self.pending: deque = deque()

    def __enter__(self) -> "Background":
        return self

    def __exit__(self, kind: Any, *error: object) -> None:
        with self.pool:
            while self.pending and kind is None:
                self.pending.popleft().result()

    def __call__(self, function: Callable, *arguments: Any, **named: Any) -> None:
        self.pending.append(self.pool.submit(function, *arguments, **named))
        if len(self.pending) > self.most:
            self.pending.popleft().result()
