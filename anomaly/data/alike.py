"""Photographs that are the same, or nearly, and photographs that are unlike all others; told by small thumbnails."""

from collections.abc import Sequence

import numpy as np

# Two thumbnails are of one photograph where they differ by at most so many grey levels, the root of the mean square and
# the largest difference. One of 500 pixels a side that was saved anew as a JPEG of quality 75 differs by 0.4 and 1.3.
NEAR, NEAREST = 0.5, 4.0
USUAL = 0.1  # and by at most this part of what is usual between neighbours: parts in a fixture look much alike
UNLIKE, LEVELS = 6.0, 10.0  # robust standard deviations, and grey levels besides, beyond the middle of all
FEWEST = 8  # photographs that have a middle
MOST = 2000  # photographs that say what is usual


def same_files(seen: Sequence) -> list:
    """Groups of photographs whose files hold the same; only files of one length are read."""
    lengths: dict[int, list] = {}
    for each in seen:
        lengths.setdefault(each.sample.path.stat().st_size, []).append(each)
    digests: dict[str, list] = {}
    for group in lengths.values():
        for each in group if len(group) > 1 else []:
            digests.setdefault(each.sample.digest(), []).append(each)
    return [group for group in digests.values() if len(group) > 1]


def _grey(seen: Sequence) -> np.ndarray:
    """N D, in double precision: distances come from differences of large numbers."""
    return np.stack([each.thumbnail.mean(axis=2).ravel() for each in seen]).astype(np.float64) - 128


def _distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """N D, M D -> N M: root of the mean square."""
    squares = (one**2).sum(1)[:, None] + (other**2).sum(1)[None] - 2 * one @ other.T
    return np.sqrt(np.maximum(squares, 0) / one.shape[1])


def near_duplicates(train: Sequence, test: Sequence) -> list:
    """Pairs (of train, of test) that show the same photograph."""
    if not train or not test:
        return []
    known, asked = _grey(train), _grey(test)
    few = known[:: -(-len(known) // MOST)]
    among = _distances(few, few)
    np.fill_diagonal(among, np.inf)
    usual = float(np.median(among.min(axis=1))) if len(few) > 1 else np.inf
    limit, pairs = min(NEAR, USUAL * usual), []
    for start in range(0, len(asked), MOST):
        close = _distances(known, asked[start : start + MOST]) <= limit + 1e-4
        for k, t in np.argwhere(close):
            if np.abs(known[k] - asked[start + t]).max() <= NEAREST:
                pairs.append((train[k], test[start + t]))
    return pairs


def unlike_the_others(seen: Sequence) -> list:
    """Photographs far from the middle of all, in what they show or in their colours."""
    if len(seen) < FEWEST:
        return []
    grey, colours = _grey(seen), np.stack([each.colours for each in seen])
    apart = np.sqrt(((grey - np.median(grey, axis=0)) ** 2).mean(axis=1))
    far = _far(apart[:, None], above=True) | _far(colours, above=False)
    return [each for each, is_far in zip(seen, far) if is_far]


def _far(values: np.ndarray, above: bool) -> np.ndarray:
    """N D -> N: whether any is far from the median; `above`: only what is larger counts."""
    middle = np.median(values, axis=0)
    spread = 1.4826 * np.median(np.abs(values - middle), axis=0)
    off = values - middle if above else np.abs(values - middle)
    return (off > UNLIKE * spread + LEVELS).any(axis=1)
