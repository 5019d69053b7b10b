"""Whoever can write a store's files and has no key changes its log: verify names the first bad record.

Each harm is done to a log of three segments of which two have several records; what stood before it verifies.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ringfence_governance import audit_verify
from ringfence_governance.audit_settings import AuditSettings
from ringfence_governance.audit_verify import Report
from ringfence_governance.checkpoint_file import CheckpointFile
from ringfence_governance.checkpoints import following, parsed, part, signing_key
from ringfence_governance.errors import InvalidInput

from .worlds import World, copy_world, make_world, open_world

HAL = "acme/user:hal"


@dataclass
class Signed:
    """A log all of which is signed and witnessed, and whose store is closed.

    Args:
        yesterday: A copy of the whole store from the checkpoint before.
        segment: The segment of the last records, of which the newest checkpoint covers the fourth and fifth.
    """

    world: World
    store: str
    public: str
    yesterday: Path
    witnessed: list[bytes]
    segment: Path

    @property
    def root(self) -> Path:
        return self.world.path

    def verify(self, witnessed: bool = True) -> Report:
        held = self.witnessed if witnessed else None
        return audit_verify.verify(self.root, self.store, self.public, witnessed=held)

    def lines(self) -> list[bytes]:
        return self.segment.read_bytes().splitlines(keepends=True)

    def write(self, lines: list[bytes]) -> None:
        self.segment.write_bytes(b"".join(lines))


@pytest.fixture(scope="session")
def signed_template(filled_template: World, tmp_path_factory: pytest.TempPathFactory) -> Signed:
    world = copy_world(filled_template, tmp_path_factory.mktemp("signed") / "world")
    for _ in range(3):
        world.see(HAL)
    keeper = world.ground.checkpoints
    keeper.checkpoint(sweep=True)
    yesterday = Path(shutil.copytree(world.path, world.folder / "yesterday"))
    world.see(HAL)
    world.see(HAL)
    keeper.checkpoint(sweep=True)
    store, public = world.ground.store_id, keeper.public_key
    world.door.close()
    witnessed = CheckpointFile(world.path).lines()[0]
    (segment,) = [file for file in world.segments() if len(file.read_bytes().splitlines()) == 5]
    made = Signed(world, store, public, yesterday, witnessed, segment)
    assert (made.verify().valid, made.verify().witnessed) == (True, len(witnessed))
    return made


@pytest.fixture
def signed(signed_template: Signed, tmp_path: Path) -> Signed:
    """A copy of its own, whose store nobody has open."""
    folder = Path(shutil.copytree(signed_template.world.folder, tmp_path / "world"))
    world = replace(signed_template.world, folder=folder)
    segment = world.path / "audit" / signed_template.segment.name
    return replace(signed_template, world=world, yesterday=folder / "yesterday", segment=segment)


def chained_anew(lines: list[bytes], previous: str = "0" * 64, first: int = 1) -> list[bytes]:
    """Return the lines as a chain that holds by itself, as somebody without a key can make it."""
    made = []
    for number, line in enumerate(lines, start=first):
        fields = json.loads(line) | {"previous": previous, "number": number}
        del fields["digest"]
        body = json.dumps(fields, sort_keys=True, separators=(",", ":"))
        previous = hashlib.sha256(body.encode()).hexdigest()
        made.append(f'{body[:-1]},"digest":"{previous}"}}\n'.encode())
    return made


HARMS: dict[str, tuple[Callable[[list[bytes]], list[bytes]], str, int]] = {
    "a record edited": (
        lambda lines: [*lines[:1], lines[1].replace(b"user:hal", b"user:bob"), *lines[2:]],
        "changed",
        2,
    ),
    "a record dropped": (lambda lines: lines[:2] + lines[3:], "dropped", 3),
    "two records in another order": (
        lambda lines: [*lines[:1], lines[2], lines[1], *lines[3:]],
        "dropped",
        2,
    ),
    "a record replayed": (lambda lines: [*lines[:2], lines[1], *lines[2:]], "dropped", 3),
    "the end cut off": (lambda lines: lines[:4], "cut", 5),
    "cut within a record": (lambda lines: [*lines[:4], lines[4][:80]], "cut", 5),
    "all records cut off": (lambda lines: [], "cut", 1),
    "a record edited, and the chain made anew": (
        lambda lines: chained_anew([*lines[:3], lines[3].replace(b"user:hal", b"user:bob"), lines[4]]),
        "rewritten",
        4,
    ),
    "a record edited, and its own digest made anew": (
        lambda lines: [
            *lines[:3],
            *chained_anew([lines[3].replace(b"user:hal", b"user:bob")], json.loads(lines[2])["digest"], 4),
            lines[4],
        ],
        "rewritten",
        5,
    ),
    "a record dropped, and the chain made anew": (
        lambda lines: chained_anew(lines[:1] + lines[2:]),
        "rewritten",
        1,
    ),
    "the order changed, and the chain made anew": (
        lambda lines: chained_anew([*lines[:3], lines[4], lines[3]]),
        "rewritten",
        4,
    ),
}


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("witness", [True, False], ids=["witnessed", "no witness"])
def test_a_signed_record_that_is_not_as_it_was_is_named(harm: str, witness: bool, signed: Signed) -> None:
    """Checkpoints alone are enough for all of these; one finding, not one for each record after it."""
    change, kind, number = HARMS[harm]
    signed.write(change(signed.lines()))
    report = signed.verify(witness)
    found = [(each.kind, each.segment, each.number) for each in report.findings]
    assert found == [(kind, signed.segment.stem, number)]


def test_a_segment_that_is_gone_is_named(signed: Signed) -> None:
    signed.segment.unlink()
    (found,) = signed.verify(False).findings
    assert (found.kind, found.segment, found.number) == ("missing", signed.segment.stem, 1)


def test_a_segment_replayed_under_another_name_is_named(signed: Signed) -> None:
    again = signed.segment.with_name(f"{'a' * 32}.jsonl")
    again.write_bytes(signed.segment.read_bytes())
    (found,) = signed.verify(False).findings
    assert (found.kind, found.segment, found.number) == ("dropped", again.stem, 1)


def test_a_segment_replayed_over_another_is_named(signed: Signed) -> None:
    other = next(file for file in signed.world.segments() if file != signed.segment)
    signed.segment.write_bytes(other.read_bytes())
    (found,) = signed.verify(False).findings
    assert (found.kind, found.segment, found.number) == ("dropped", signed.segment.stem, 1)


def test_a_forged_segment_is_unregistered(signed: Signed) -> None:
    """It is chained by itself and no checkpoint covers it; the catalog, whose rows are sealed, does not know it."""
    forged = signed.segment.with_name(f"{'a' * 32}.jsonl")
    lines = [line.replace(signed.segment.stem.encode(), forged.stem.encode()) for line in signed.lines()]
    forged.write_bytes(b"".join(chained_anew(lines)))
    there = [file.stem for file in signed.world.segments() if file != forged]
    report = audit_verify.verify(signed.root, signed.store, signed.public, registered=there)
    assert [(each.kind, each.segment) for each in report.findings] == [("unregistered", forged.stem)]


def restored(signed: Signed) -> None:
    shutil.rmtree(signed.root)
    shutil.copytree(signed.yesterday, signed.root)


def test_yesterdays_whole_folder_is_found_by_the_witness_alone(signed: Signed) -> None:
    restored(signed)
    alone = signed.verify(False)
    assert alone.valid
    assert audit_verify.NO_WITNESS in alone.unknown
    report = signed.verify()
    found = {(each.kind, each.segment, each.number) for each in report.findings}
    assert ("cut", signed.segment.stem, 4) in found
    assert {kind for kind, _, _ in found} == {"rolled back", "cut"}


def test_a_fork_that_goes_on_from_yesterday_is_found(signed: Signed) -> None:
    """The store is set back and then used again: its own key signs another checkpoint of the same number."""
    restored(signed)
    world = open_world(signed.world.folder)
    world.see("acme/user:bob")
    world.ground.checkpoints.checkpoint(sweep=True)
    world.door.close()
    assert signed.verify(False).valid
    report = signed.verify()
    assert ("forked", "") in {(each.kind, each.segment) for each in report.findings}
    assert ("cut", signed.segment.stem, 4) in {
        (each.kind, each.segment, each.number) for each in report.findings
    }


@pytest.mark.parametrize("held", ["nothing", "another store's"])
@pytest.mark.parametrize("back", [False, True])
def test_a_witness_that_holds_nothing_of_the_store_is_no_witness_and_that_is_said(
    held: str, back: bool, signed: Signed
) -> None:
    if back:
        shutil.rmtree(signed.root)
        shutil.copytree(signed.yesterday, signed.root)
    lines = (
        []
        if held == "nothing"
        else [line.replace(signed.store.encode(), b"0" * 32) for line in signed.witnessed]
    )
    report = audit_verify.verify(signed.root, signed.store, signed.public, witnessed=lines)
    assert report.valid
    assert report.witnessed == 0
    assert audit_verify.EMPTY_WITNESS in report.unknown
    assert audit_verify.EMPTY_WITNESS not in signed.verify().unknown


def test_a_witness_that_was_given_both_branches_shows_the_fork(signed: Signed) -> None:
    restored(signed)
    world = open_world(signed.world.folder)
    world.see("acme/user:bob")
    world.ground.checkpoints.checkpoint(sweep=True)
    world.door.close()
    both = [*signed.witnessed, *CheckpointFile(signed.root).lines()[0]]
    report = audit_verify.verify(signed.root, signed.store, signed.public, witnessed=both)
    assert "the witness holds two checkpoints of this number" in {each.found for each in report.findings}


def test_checkpoints_signed_with_another_key_are_found(signed: Signed) -> None:
    """Swapped: the log is chained and signed anew, faultlessly, by a key that is not the store's."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    parts = [
        part(
            file.stem,
            0,
            [bytes.fromhex(json.loads(line)["digest"]) for line in file.read_bytes().splitlines()],
        )
        for file in signed.world.segments()
    ]
    forged = following(None, key, signed.store, "2026-06-01T00:00:00.000000Z", parts, ())
    file = CheckpointFile(signed.root)
    for path in (signed.root / "checkpoints").glob("*"):
        path.unlink()
    file.append(forged)
    public = key.public_key().public_bytes_raw().hex()
    assert audit_verify.verify(signed.root, signed.store, public).valid
    (first, *_) = signed.verify(False).findings
    assert (first.kind, first.number) == ("checkpoint", 1)
    assert "did not sign" in first.found


def test_the_checkpoints_of_another_store_are_found(signed: Signed, tmp_path: Path) -> None:
    other = make_world(tmp_path / "other")
    other.see(HAL)
    other.ground.checkpoints.checkpoint(sweep=True)
    other.door.close()
    shutil.rmtree(signed.root / "checkpoints")
    shutil.copytree(other.path / "checkpoints", signed.root / "checkpoints")
    (first, *_) = signed.verify(False).findings
    assert (first.kind, first.number) == ("checkpoint", 1)


def test_a_checkpoint_that_names_another_store_is_found(signed: Signed) -> None:
    """Signed by the very key: of a store that was copied with its keys and given another id."""
    world = open_world(signed.world.folder)
    key = signing_key(world.ground.keys)
    world.door.close()
    first = parsed(signed.witnessed[0])
    named = following(None, key, "another", first.at, first.parts, ())
    (signed.root / "checkpoints" / "checkpoints.jsonl").write_bytes(named.line())
    (found, *_) = signed.verify(False).findings
    assert (found.kind, found.number, found.found) == ("checkpoint", 1, "a checkpoint of another store")


@pytest.mark.parametrize(
    ("drop", "kind", "said"), [(0, "checkpoint", "checkpoint 2; expected 1"), (-1, "rolled back", "end at")]
)
def test_a_checkpoint_taken_away_is_found(drop: int, kind: str, said: str, signed: Signed) -> None:
    file = signed.root / "checkpoints" / "checkpoints.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    del lines[drop]
    file.write_bytes(b"".join(lines))
    found = [each for each in signed.verify().findings if each.kind == kind]
    assert found
    assert said in found[0].found


def test_nothing_is_signed_on_top_of_a_log_that_was_changed(signed: Signed) -> None:
    """Otherwise the next checkpoint would make it look right."""
    signed.write(signed.lines()[:-1])
    world = open_world(signed.world.folder)
    world.ground.checkpoints.tend()
    assert signed.segment.stem in str(world.ground.checkpoints.status()["problem"])
    world.door.close()
    assert not signed.verify().valid


def test_a_clock_that_was_set_back_is_said_and_order_is_by_number(filled: World) -> None:
    world = filled.reopened()
    world.see(HAL)
    world.clock.advance(-3600)
    world.see(HAL)
    world.ground.checkpoints.checkpoint(sweep=True)
    world.door.close()
    (segment,) = [file for file in world.segments() if HAL.encode() in file.read_bytes()]
    report = audit_verify.verify(world.path, world.ground.store_id, world.ground.checkpoints.public_key)
    assert report.valid
    (said,) = [each for each in report.unknown if "the clock went backwards" in each]
    assert said.startswith(
        f"segment {segment.stem}: the clock went backwards at 1 records, first at record 2"
    )


@pytest.mark.parametrize("name", ["segment_bytes", "checkpoint_records", "checkpoint_seconds"])
def test_no_setting_turns_checkpoints_off(name: str) -> None:
    with pytest.raises(InvalidInput, match=name):
        AuditSettings(**{name: 0})  # type: ignore[arg-type]
