"""The queue: what is taken together, what is refused, and that every one gets its own answer."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from tiny_model import photograph

from anomaly.line.batching import Batches, Closed, filled


@pytest.fixture
def held(detector):
    """A detector that waits before each batch until it is let go, and tells of what it saw."""
    gate, seen = threading.Semaphore(0), []

    def run(images):
        gate.acquire()
        seen.append(len(images))
        return detector.run(images)

    return replace(detector, run=run), gate, seen


def test_what_waits_is_taken_together_and_each_gets_its_own_answer(detector, held):
    slow, gate, seen = held
    batches = Batches({"a": slow}, size=4)
    images = [photograph(seed, defect=seed % 3 == 0) for seed in range(10)]
    answers = [batches.add("a", image) for image in images[:1]]
    while batches.waiting["a"]:  # the first one is taken alone: nothing waits for company
        pass
    answers += [batches.add("a", image) for image in images[1:]]
    for _ in range(4):
        gate.release()
    for image, answer in zip(images, answers):
        values, score = answer.result(10)
        expected = detector.judge(image)
        np.testing.assert_array_equal(values, expected.map)
        assert score == expected.score
    assert seen == [1, 4, 4, 1]
    batches.close()


def test_closing_answers_what_waits_and_takes_nothing_more(held):
    slow, gate, _ = held
    batches = Batches({"a": slow}, size=1)
    first = batches.add("a", photograph())
    while batches.waiting["a"]:
        pass
    waiting = [batches.add("a", photograph()) for _ in range(3)]
    waiting[1].cancel()
    closing = threading.Thread(target=batches.close)
    closing.start()
    while not batches.closed:
        pass
    with pytest.raises(Closed):
        batches.add("a", photograph())
    for _ in range(4):
        gate.release()
    closing.join(10)
    assert first.result(0) and waiting[0].result(0) and waiting[2].result(0) and waiting[1].cancelled()


def test_no_model_starves_another(held):
    slow, gate, _ = held
    batches, order = Batches({"a": slow, "b": slow}, size=1), []
    batches.on_batch = lambda name, number: order.append(name)
    batches.add("a", photograph())
    while batches.waiting["a"]:
        pass
    last = [batches.add(name, photograph()) for name in "aaab"][-1]
    for _ in range(5):
        gate.release()
    last.result(10)
    assert order.index("b") <= 2
    batches.close()


def test_a_batch_that_fails_fails_for_all_in_it_and_the_next_one_works(detector):
    fails = [True]

    def run(images):
        if fails:
            fails.clear()
            raise MemoryError("no room")
        return detector.run(images)

    batches = Batches({"a": replace(detector, run=run)})
    with pytest.raises(MemoryError):
        batches.add("a", photograph()).result(10)
    assert batches.add("a", photograph()).result(10)
    batches.close()


def test_many_threads_lose_nothing(detector):
    batches = Batches({"a": detector}, size=8)
    images = [photograph(seed) for seed in range(20)]
    expected = [detector.judge(image).score for image in images]
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda n: batches.add("a", images[n % 20]).result(30)[1], range(400)))
    assert found == expected * 20
    batches.close()


def test_where_every_number_is_compiled_there_are_few_of_them(detector):
    class InMindSpore:
        runs_beside = False

    assert [len(filled([0] * number, InMindSpore())) for number in (1, 2, 3, 5, 8)] == [1, 2, 4, 8, 8]
    assert len(filled([0] * 3, detector)) == 3
