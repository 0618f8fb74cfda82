"""What goes on in threads comes back in order, and what fails there is raised where it was asked for."""

import subprocess
import sys
import threading
import time

import pytest
from shell import ROOT

from anomaly.run.threads import Background, ahead, cores, parallel, spans


def test_spans_cut_without_gap_or_overlap():
    for count in (0, 1, 5, 6, 7):
        assert [i for span in spans(count, 3) for i in range(count)[span]] == list(range(count))
        assert all(span.stop <= count for span in spans(count, 3))


def test_parallel_keeps_the_order_and_uses_all_cores():
    seen, told = set(), []

    def work(item):
        seen.add(threading.get_ident())
        time.sleep(0.01 * (5 - item))
        return item * item

    assert parallel(work, list(range(5)), report=told.append) == [0, 1, 4, 9, 16]
    assert told == list(range(5)) and len(seen) == min(5, cores())


@pytest.mark.parametrize("threads", [True, False])
def test_ahead_gives_each_item_with_what_was_made_of_it(threads):
    assert list(ahead(iter("abc"), str.upper, threads=threads)) == [("a", "A"), ("b", "B"), ("c", "C")]
    assert list(ahead([], str.upper, threads=threads)) == []


def test_the_next_item_is_worked_on_while_the_last_one_is_used():
    started = [threading.Event() for _ in range(3)]
    for item, _ in ahead(range(3), lambda i: started[i].set()):
        if item < 2:
            assert started[item + 1].wait(5)


def fail(*_):
    raise ValueError("no")


@pytest.mark.parametrize("threads", [True, False])
def test_what_fails_ahead_is_raised(threads):
    with pytest.raises(ValueError, match="no"):
        list(ahead([1, 2], fail, threads=threads))
    with pytest.raises(ValueError, match="no"):
        parallel(fail, [1, 2])


def test_the_background_ends_with_its_block():
    done = []
    with Background() as background:
        for i in range(40):
            background(lambda i=i: (time.sleep(0.001), done.append(i)))
    assert sorted(done) == list(range(40))


def test_what_fails_in_the_background_is_raised():
    with pytest.raises(ValueError, match="no"), Background() as background:
        background(fail)


def test_another_error_is_not_hidden_by_the_background():
    with pytest.raises(KeyError), Background() as background:
        background(fail)
        raise KeyError


def test_a_forked_process_has_threads_of_its_own():
    program = """
import os
from anomaly.run.threads import parallel
parallel(abs, [-1, -2])
child = os.fork()
found = parallel(abs, [-3])
if child == 0:
    os._exit(found[0])
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == found[0] == 3
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, timeout=60, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
