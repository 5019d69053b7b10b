"""A long scan is shared with other threads: each piece is gone through once, and the answer is that of one thread."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections.abc import Iterator

import numpy as np
import pytest

from ringfence_governance import scan_threads, stopping, vector_scan
from ringfence_governance.errors import Cancelled
from ringfence_governance.quantised import quantised
from ringfence_governance.stopping import CancelToken, TimeLimit
from ringfence_governance.vector_scan import Runs

PIECES = range(400)


@pytest.fixture(autouse=True)
def spare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three threads may help, whatever the machine has."""
    monkeypatch.setattr(scan_threads, "_spare", lambda: 3)


def slowly(pieces: Iterator[int]) -> list[tuple[int, int]]:
    """Take pieces, and say by which thread."""
    taken = []
    for piece in pieces:
        time.sleep(0.0005)
        taken.append((piece, threading.get_ident()))
    return taken


def test_every_piece_is_taken_once_and_several_threads_take_some() -> None:
    shares = scan_threads.shared(PIECES, slowly)
    taken = [each for share in shares for each in share]
    assert sorted(piece for piece, _ in taken) == list(PIECES)
    assert len({thread for _, thread in taken}) > 1


def test_one_piece_is_this_threads() -> None:
    assert scan_threads.shared([7], slowly) == [[(7, threading.get_ident())]]


def test_no_piece_is_one_empty_share() -> None:
    assert scan_threads.shared([], slowly) == [[]]


def test_when_the_read_is_to_stop_no_thread_works_on() -> None:
    token, done = CancelToken(), []

    def work(pieces: Iterator[int]) -> None:
        for piece in pieces:
            time.sleep(0.0005)
            done.append(piece)
            if len(done) == 20:
                token.cancel()

    with stopping.within(TimeLimit.of(None, token)), pytest.raises(Cancelled):
        scan_threads.shared(PIECES, work)
    before = len(done)
    time.sleep(0.05)
    assert 20 <= before < len(PIECES)
    assert len(done) == before


def test_what_fails_in_another_thread_fails_here() -> None:
    mine = threading.get_ident()

    def work(pieces: Iterator[int]) -> None:
        for _ in pieces:
            time.sleep(0.0005)
            if threading.get_ident() != mine:
                raise MemoryError("no room")

    with pytest.raises(MemoryError):
        scan_threads.shared(PIECES, work)


def test_a_child_process_has_threads_of_its_own() -> None:
    scan_threads.shared(PIECES, slowly)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        # Whoever waits for threads that are not there waits for ever.
        signal.alarm(20)
        shares = scan_threads.shared(PIECES, slowly)
        os._exit(0 if len(shares) > 1 and all(shares) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("k", [1, 11, 200])
def test_what_several_threads_keep_is_what_one_keeps(monkeypatch: pytest.MonkeyPatch, k: int) -> None:
    dice = np.random.default_rng(3)
    rows = dice.standard_normal((6000, 32)).astype(np.float32)
    rows[100:160] = rows[50]  # ties
    small = quantised(rows)
    starts = np.arange(0, 6000, 60)
    runs = [
        Runs(rows, small, starts[:70], starts[:70] + 37),
        Runs(rows, small, starts[70:], starts[70:] + 60),
    ]
    assert vector_scan.load_kernels(32)
    for query in rows[50:60]:
        alone = vector_scan.nearest(runs, query, k)
        with monkeypatch.context() as shared:
            shared.setattr(vector_scan, "SHARED_FROM", 1)
            shared.setattr(vector_scan, "ROWS_SHARED", 64)
            assert vector_scan.nearest(runs, query, k).tolist() == alone.tolist()
