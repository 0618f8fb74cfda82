"""Batches of decoded photographs."""

import time

import numpy as np
import pytest
from commands import write

from anomaly.data import loader
from anomaly.data.images import read_image
from anomaly.data.samples import Sample
from anomaly.data.transform import Transform
from anomaly.run.errors import DataError

TRANSFORM = Transform((32, 32))


def samples(folder, count: int) -> list:
    return [Sample(write(folder / f"{i:02}.png", np.full((40, 40), i, np.uint8))) for i in range(count)]


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("count,batch_size", [(1, 1), (7, 3), (6, 3), (25, 4), (3, 8)])
def test_every_sample_comes_once_and_in_order(tmp_path, workers, count, batch_size):
    wanted = samples(tmp_path, count)
    found = list(loader.batches(wanted, TRANSFORM, batch_size=batch_size, workers=workers))
    assert [sample for batch in found for sample in batch.samples] == wanted
    values = [image[0, 0, 0] for batch in found for image in batch.images[: batch.size]]
    assert values == list(range(count))


def test_order_does_not_depend_on_which_file_is_decoded_first(tmp_path, monkeypatch):
    wanted = samples(tmp_path, 8)

    def slow_at_first(path):
        time.sleep(0.05 if int(path.stem) % 4 == 0 else 0)
        return read_image(path)

    monkeypatch.setattr(loader, "read_image", slow_at_first)
    found = list(loader.batches(wanted, TRANSFORM, batch_size=3, workers=4))
    assert [image[0, 0, 0] for batch in found for image in batch.images[: batch.size]] == list(range(8))


def test_the_last_batch_is_filled_to_the_same_shape(tmp_path):
    found = list(loader.batches(samples(tmp_path, 5), TRANSFORM, batch_size=4, workers=2))
    assert [batch.images.shape for batch in found] == [(4, 32, 32, 3)] * 2
    assert [batch.size for batch in found] == [4, 1]
    assert all(batch.images.dtype == np.uint8 for batch in found)


def test_no_samples_give_no_batches():
    assert list(loader.batches([], TRANSFORM, batch_size=4, workers=2)) == []


@pytest.mark.parametrize("bad", [0, 3, 6])
def test_an_unreadable_image_ends_it_with_its_name(tmp_path, bad):
    wanted = samples(tmp_path, 7)
    wanted[bad].path.write_bytes(b"")
    with pytest.raises(DataError, match=wanted[bad].path.name):
        list(loader.batches(wanted, TRANSFORM, batch_size=3, workers=2))


@pytest.mark.parametrize("bad", [{0}, {3, 4}, {6}, {0, 1, 2}, set(range(7))])
def test_on_error_is_told_and_all_others_come(tmp_path, bad):
    wanted, told = samples(tmp_path, 7), []
    for i in bad:
        wanted[i].path.write_bytes(b"")
    found = list(loader.batches(wanted, TRANSFORM, batch_size=3, workers=2, on_error=told.append))
    assert [int(sample.path.stem) for batch in found for sample in batch.samples] == sorted(set(range(7)) - bad)
    values = [image[0, 0, 0] for batch in found for image in batch.images[: batch.size]]
    assert values == sorted(set(range(7)) - bad)
    assert all(batch.images.shape[0] == 3 for batch in found)
    assert len(told) == len(bad)
    assert all(wanted[i].path.name in str(error) for i, error in zip(sorted(bad), told))


def test_masks_go_through_the_same_geometry_as_images(tmp_path):
    drawn = np.zeros((64, 96), np.uint8)
    drawn[10:30, 50:90] = 255
    image, mask = write(tmp_path / "a.png", drawn), write(tmp_path / "m.png", drawn)
    transform = Transform((64, 96), (48, 64))
    [batch] = loader.batches([Sample(image, "hole", mask)], transform, batch_size=1, workers=1, with_masks=True)
    assert batch.masks[0].dtype == bool
    assert np.array_equal(batch.masks[0], batch.images[0, ..., 0] > 127)
    assert batch.masks[0].sum() == 20 * 30


def test_good_images_have_empty_masks_and_unmarked_ones_none(tmp_path):
    image = write(tmp_path / "a.png", np.zeros((40, 40), np.uint8))
    [batch] = loader.batches(
        [Sample(image), Sample(image, "hole")], TRANSFORM, batch_size=2, workers=1, with_masks=True
    )
    assert batch.masks[0].shape == (32, 32)
    assert not batch.masks[0].any()
    assert batch.masks[1] is None


def test_masks_are_not_read_unless_asked_for(tmp_path):
    image = write(tmp_path / "a.png", np.zeros((40, 40), np.uint8))
    [batch] = loader.batches([Sample(image, "hole", tmp_path / "gone.png")], TRANSFORM, batch_size=1, workers=1)
    assert batch.masks == [None]


def test_a_mask_of_another_size_is_refused_by_name(tmp_path):
    image = write(tmp_path / "a.png", np.zeros((40, 50), np.uint8))
    mask = write(tmp_path / "m.png", np.zeros((40, 40), np.uint8))
    with pytest.raises(DataError, match=r"m\.png.*mask 40 x 40, image 50 x 40"):
        list(loader.batches([Sample(image, "hole", mask)], TRANSFORM, batch_size=1, workers=1, with_masks=True))


def test_a_batch_is_never_larger_than_all_there_is(tmp_path):
    [found] = loader.batches(samples(tmp_path, 5), TRANSFORM, batch_size=10**9, workers=2)
    assert found.size == 5 and len(found.images) == 5
