"""The photographs that a detector was trained on, known by what is in them, to tell further ones from them."""

from collections.abc import Sequence
from pathlib import Path

from anomaly.data.samples import Sample
from anomaly.run.errors import DataError
from anomaly.run.files import sha256
from anomaly.run.threads import parallel


def describe(samples: Sequence) -> list:
    """Where each lies and what is in it."""
    digests = parallel(Sample.digest, list(samples))
    return [
        {"path": str(sample.path.resolve()) if sample.pixels is None else "", "sha256": digest}
        for sample, digest in zip(samples, digests)
    ]


def unseen(samples: Sequence, images: list) -> list:
    """The samples whose content is not among `images`, which `describe` made."""
    known = {image["sha256"] for image in images}
    found = [sample for sample in samples if sample.digest() not in known]
    if not found:
        raise DataError(f"has seen all {len(samples)} images already; nothing to add")
    return found


def still_there(images: list, samples: Sequence) -> list:
    """For each of `images` a sample, one of these or from its file; None where it is gone or has changed."""
    at_hand = {sample.digest(): sample for sample in samples}
    found = []
    for image in images:
        path, sample = Path(image["path"]), at_hand.get(image["sha256"])
        if sample is None and path.is_file() and sha256(path) == image["sha256"]:
            sample = Sample(path)
        found.append(sample)
    return found
