"""Measure what the audit log costs a query, and what it takes to verify it, and print the tables.

Promise: every record is written as the product writes it, durably; beside it, in turn and in the same folder, as many
bytes are written and synced by nothing but the system.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.authority.clock import summary
from bench.command import Command
from bench.ground import stores
from bench.machine import noted_machine
from bench.page import machine_line, table
from ringfence_governance import audit_verify
from ringfence_governance.audit_log import AuditLog
from ringfence_governance.audit_record import AuditRecord
from ringfence_governance.door import Door

TARGET_MS = 1.0
"""Of the middle query, for its record."""
READERS = (1, 4, 8)

HEAD = """# Benchmark: the audit log

Made by `make bench-audit` (`python -m bench.audit_cost`) from [bench/results](../bench/results/audit.json);
`python -m bench.audit_cost --render` makes this page from that file again. Do not edit it by hand.

**Machine.** {machine} Load average after the run {load_after}.

**How to read it.** *Record* is the time a query waits for its record to be durable. *Bare sync* is the time to append a
line of the same size to a file of the same folder and sync it, once for each query: what the disk costs. The two take
turns. *CPU* is what the thread that waits for its record uses for it, the disk's part in the kernel included. The rest
it waits: for the disk, for the machine, and among several readers for the interpreter, which one thread has at a time:
of four readers each waits four times as long for all that is computed, for his query as for its record. *Added* is what
a query costs more because it has a record: the time all readers took for all queries, divided by the number of queries,
with the log and with one that forgets every record, in turn. Readers are threads of one process; those that wait at the
same time wait for one write. A query here lists a store of {documents} documents.
"""


def main() -> None:
    """Read the command line, measure, write the result file and the page, print the page."""
    command = Command("python -m bench.audit_cost", __doc__, "audit.json", "bench-audit.md", page)
    command.run(_measured)


def _measured(given: argparse.Namespace) -> dict[str, object]:
    documents, queries, rounds, records = (5, 4, 2, 500) if given.quick else (50, 12, 4, 60_000)
    where, folder = noted_machine(), Path(tempfile.mkdtemp(prefix="ringfence-bench-"))
    try:
        door = stores.make(folder / "one")
        stores.publish(door, list(stores.drafts(0, documents)))
        costs = [_costs(door, folder, readers, queries, rounds) for readers in READERS]
        verified = _verified(door, records)
        door.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "machine": {**where, "load_after": round(os.getloadavg()[0], 2)},
        "settings": {"documents": documents, "queries": queries, "rounds": rounds},
        "costs": costs,
        "verified": verified,
    }


def _costs(door: Door, folder: Path, readers: int, queries: int, rounds: int) -> dict[str, object]:
    """Let so many threads ask at once, and then sync at once, in turn."""
    log = _log(door)
    append, waited, used, asked, synced = AuditLog.append, [], [], [], []
    added: list[float] = []

    def timed(self: AuditLog, record: AuditRecord) -> None:
        started, before = time.perf_counter(), time.thread_time()
        append(self, record)
        used.append(time.thread_time() - before)
        waited.append(time.perf_counter() - started)

    def ask() -> None:
        started = time.perf_counter()
        stores.reader(door).list()
        asked.append(time.perf_counter() - started)

    line = b"x" * _line_bytes(log)
    descriptor = os.open(folder / "probe", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def sync() -> None:
        started = time.perf_counter()
        os.write(descriptor, line)
        os.fdatasync(descriptor)
        synced.append(time.perf_counter() - started)

    def forget(self: AuditLog, record: AuditRecord) -> None:
        """What a query would cost without a log."""

    try:
        for _ in range(rounds):
            AuditLog.append = timed  # type: ignore[method-assign]
            whole = _at_once(ask, readers, queries)
            _at_once(sync, readers, queries)
            kept = len(asked)
            AuditLog.append = forget  # type: ignore[method-assign]
            added.append((whole - _at_once(ask, readers, queries)) / (readers * queries))
            del asked[kept:]
    finally:
        AuditLog.append = append  # type: ignore[method-assign]
        os.close(descriptor)
    return {
        "readers": readers,
        "line_bytes": len(line),
        "query_ms": summary(asked, 1e3, 50, 99),
        "record_ms": summary(waited, 1e3, 50, 99),
        "cpu_ms": summary(used, 1e3, 50),
        "sync_ms": summary(synced, 1e3, 50, 99),
        "added_ms": summary(added, 1e3, 50),
    }


def _at_once(work: Callable[[], None], threads: int, times: int) -> float:
    """Do something so many times in each of some threads; return the seconds that took."""

    def repeat() -> None:
        for _ in range(times):
            work()

    begun = [threading.Thread(target=repeat) for _ in range(threads)]
    started = time.perf_counter()
    for thread in begun:
        thread.start()
    for thread in begun:
        thread.join()
    return time.perf_counter() - started


def _verified(door: Door, records: int) -> dict[str, object]:
    """Write records, sign all, and verify the log of them."""
    ground: Any = door._Door__ground  # type: ignore[attr-defined]
    moment = ground.moment()
    record = AuditRecord(
        "list",
        "read",
        "allowed",
        [{"actor": stores.READER.person, "principals": [stores.READER.person], "level": 0}],
        ground.asserted_by,
        policy_revision=moment.snapshot.revision,
        sequence=moment.sequence,
        atoms=list(range(10)),
        rows=[f"{number:032x}" for number in range(10)],
    )
    # In many threads: what is measured comes after.
    _at_once(lambda: ground.audit.append(record), 16, records // 16)
    ground.checkpoints.checkpoint(sweep=True)
    started, before = time.perf_counter(), time.process_time()
    report = audit_verify.verify(ground.root, ground.store_id, ground.checkpoints.public_key)
    seconds, used = time.perf_counter() - started, time.process_time() - before
    if not report.valid:
        raise RuntimeError(f"the log does not verify: {report.findings[0]}")
    size = sum(file.stat().st_size for file in (ground.root / "audit").iterdir())
    told = {"seconds": round(seconds, 3), "cpu_seconds": round(used, 3)}
    return {"records": report.records, "bytes": size, **told}


def _log(door: Door) -> AuditLog:
    log: AuditLog = door._Door__ground.audit  # type: ignore[attr-defined]
    return log


def _line_bytes(log: AuditLog) -> int:
    lines = [line for file in log._folder.glob("*.jsonl") for line in file.read_bytes().splitlines()]
    return max(map(len, lines)) + 1


def page(results: Mapping[str, Any]) -> str:
    """Return the page of one result file."""
    machine, verified = results["machine"], results["verified"]
    head = HEAD.format(
        machine=machine_line(machine),
        load_after=machine["load_after"],
        documents=results["settings"]["documents"],
    )
    rows = [
        [
            f"{row['readers']}",
            *(
                f"{row[name]['p50']:.2f} / {row[name]['p99']:.2f}"
                for name in ("query_ms", "record_ms", "sync_ms")
            ),
            f"{row['cpu_ms']['p50']:.2f}",
            f"{row['record_ms']['p50'] / row['sync_ms']['p50']:.2f}",
            f"{row['record_ms']['p50'] / row['query_ms']['p50']:.0%}",
            _met(row["record_ms"]["p50"]),
            f"{row['added_ms']['p50']:.2f}",
            _met(row["added_ms"]["p50"]),
        ]
        for row in results["costs"]
    ]
    costs = table(
        [
            "readers at once",
            "query, ms p50 / p99",
            "record",
            "bare sync",
            "CPU for it",
            "record / bare sync",
            "record / query",
            f"record at most {TARGET_MS:g} ms",
            "added",
            f"added at most {TARGET_MS:g} ms",
        ],
        rows,
    )
    million = verified["seconds"] / verified["records"] * 1e6
    used = verified["cpu_seconds"] / verified["records"] * 1e6
    return (
        f"{head}\n## A query's record\n\n{costs}\n## Verifying\n\n{verified['records']:,} records of "
        f"{verified['bytes'] / verified['records']:.0f} bytes, all signed, in {verified['seconds']:.1f} s: "
        f"{million:.0f} s for a million, {used:.0f} of them CPU.\n"
    )


def _met(milliseconds: float) -> str:
    return "met" if milliseconds <= TARGET_MS else "**not met**"


if __name__ == "__main__":
    main()
