"""Checkpoints are handed over, segments packed and removed, and nothing of what was recorded is lost by it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ringfence_governance import audit_log, audit_proof, audit_retention, audit_verify
from ringfence_governance.audit_reading import given_to, records
from ringfence_governance.audit_settings import AuditSettings
from ringfence_governance.checkpoint_keeper import CheckpointKeeper

from .worlds import World

HAL = "acme/user:hal"
RECEIVER = """
import http.server, sys
kept = []
class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        kept.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204); self.end_headers()
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"".join(kept))
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver)
print(server.server_port, flush=True)
server.serve_forever()
"""


def keeper(world: World, witness: str = "") -> CheckpointKeeper:
    ground = world.ground
    settings = AuditSettings(witness)
    return CheckpointKeeper(ground.root, ground.store_id, ground.keys, ground.ambient, ground.audit, settings)


def verified(world: World, witnessed: list[bytes] | None = None) -> audit_verify.Report:
    ground = world.ground
    key = ground.checkpoints.public_key
    return audit_verify.verify(ground.root, ground.store_id, key, witnessed=witnessed)


def test_packed_and_removed_segments_keep_records_proofs_and_what_was_given(filled: World) -> None:
    filled.see(HAL)
    world = filled.reopened()
    ground, folder = world.ground, world.path / "audit"
    before, given = records(folder), set(given_to(folder, HAL))
    now = ground.ambient.clock()
    kept = audit_retention.keep(ground.root, ground.store_id, ground.checkpoints, now)
    assert kept.packed
    assert records(folder) == before
    segment = next(folder.glob("*.parquet")).stem
    proof = audit_proof.prove(ground.root, ground.store_id, segment, 1)
    assert proof is not None
    assert audit_proof.holds(json.loads(json.dumps(proof)), ground.checkpoints.public_key)
    assert not audit_proof.holds(proof | {"digest": "0" * 64}, ground.checkpoints.public_key)
    audit_retention.keep(ground.root, ground.store_id, ground.checkpoints, now, bytes_max=0)
    assert records(folder) == []
    assert set(given_to(folder, HAL)) == given != set()
    report = verified(world)
    assert (report.valid, report.removed) == (True, len(before))
    next(file for file in folder.glob("*.kept") if file.read_bytes() != b"{}").write_bytes(b"{}")
    assert not verified(world).valid


def test_a_record_that_a_sweep_sees_before_its_writer_knows_it_is_durable_is_signed_once(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep reads it from the disk while its writer waits for that: later checkpoints go on behind it."""
    swept: list[int] = []
    sync = os.fdatasync

    def syncing(descriptor: int) -> None:
        sync(descriptor)
        segment = filled.ground.audit._segment
        if len(swept) < 3 and segment is not None and descriptor == segment.descriptor:
            made = filled.ground.checkpoints.checkpoint(sweep=True)
            assert made is not None
            swept.append(made.records)

    filled.see(HAL)
    filled.ground.checkpoints.checkpoint(sweep=False)
    monkeypatch.setattr(audit_log.os, "fdatasync", syncing)
    for expected in range(1, 6):
        filled.see(HAL)
        filled.ground.checkpoints.checkpoint(sweep=expected % 2 == 0)
        report = verified(filled)
        assert (report.findings, report.signed) == ([], report.records)
    assert swept == sorted(set(swept))
    assert len(swept) == 3


def test_a_witness_that_is_down_loses_nothing_and_has_all_when_it_is_back(filled: World) -> None:
    filled.see(HAL)
    with subprocess.Popen(
        [sys.executable, "-c", RECEIVER, "0"], stdout=subprocess.PIPE, text=True
    ) as receiver:
        assert receiver.stdout is not None
        port = receiver.stdout.readline().strip()
        receiver.kill()
    # The run that filled the store left a checkpoint of its own when it ended.
    down = keeper(filled, f"http://127.0.0.1:{port}/log")
    down.tend()
    filled.see(HAL)
    down.tend()
    assert down.status()["waiting_for_witness"] == 3
    assert "cannot be reached" in str(down.status()["problem"])
    with subprocess.Popen(
        [sys.executable, "-c", RECEIVER, port], stdout=subprocess.PIPE, text=True
    ) as receiver:
        assert receiver.stdout is not None
        receiver.stdout.readline()
        down.tend()
        assert (down.status()["waiting_for_witness"], down.status()["problem"]) == (0, "")
        assert down.witness is not None
        held = down.witness.lines()
        receiver.kill()
    assert len(held) == 3
    assert (verified(filled, held).valid, verified(filled, held).witnessed) == (True, 3)


@pytest.mark.parametrize("line", [b"no json\n", b'{"version": 9}\n'])
def test_a_damaged_line_and_an_unknown_version_are_named(filled: World, line: bytes, tmp_path: Path) -> None:
    segment = filled.segments()[0]
    segment.write_bytes(line + segment.read_bytes())
    report = verified(filled)
    assert [(each.kind, each.number) for each in report.findings] in ([("damaged", 1)], [("version", 1)])
