"""Who holds the files and not the keys, and may ingest documents of his own choice, learns lengths and no more."""

from __future__ import annotations

import json
import signal
import tempfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import lance
import pytest

from ringfence_governance.drafts import SourceIdentity
from ringfence_governance.seal import NONCE_BYTES, OVERHEAD_BYTES

from .dying import PUBLICATIONS, WRITER, Instants, watched, write_publication
from .test_sealed_files import forms
from .worlds import (
    DEFAULT_MODE,
    MODEL,
    World,
    copy_world,
    database,
    draft,
    label,
    open_world,
    process,
    vector,
)

INSIDER = "acme/user:dex"
HIS = SourceIdentity("file:///his", "folder")
LINE = "the very same words in every place"
SEALED = {"documents": ("metadata", "text"), "chunks": ("metadata", "text", "vector", "terms")}


def sealed_cells(world: World) -> list[tuple[str, str, bytes]]:
    """Every sealed value of the tables: column, row id and bytes."""
    return [
        (f"{table}.{column}", row["id"], row[column])
        for table, columns in SEALED.items()
        for row in lance.dataset(str(world.path / "lance" / f"{table}.lance")).to_table().to_pylist()
        for column in columns
    ]


def other_sealed(world: World) -> Iterator[tuple[str, bytes]]:
    """Every other sealed value: those of the catalog, and the wrapped keys."""
    for file in (world.path / "catalog.db", world.keys / "keys.db"):
        with database(file) as opened:
            names = [
                name for (name,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            ]
            for name in names:
                for row in opened.execute(f'SELECT * FROM "{name}"'):
                    yield from ((f"{file.name} {name}", value) for value in row if isinstance(value, bytes))


def repeated(values: Iterable[bytes]) -> set[bytes]:
    """Return the runs of twelve bytes that stand in two of the values, or twice in one."""
    seen: set[bytes] = set()
    twice: set[bytes] = set()
    for value in values:
        for start in range(len(value) - 11):
            run = value[start : start + 12]
            (twice if run in seen else seen).add(run)
    return twice


def test_equal_plaintexts_give_ciphertexts_that_share_nothing(world: World) -> None:
    """In one document, under one label, under two, of two people, written again, and of one who knows the text."""
    world.put(draft("a.txt", f"{LINE}\n" * 4, label()), draft("b.txt", LINE, label()), who=INSIDER)
    world.put(
        *(draft(f"{number}.txt", LINE, label("acme/user:dex")) for number in range(4)),
        who=INSIDER,
        source=HIS,
    )
    first = sealed_cells(world)
    with world.ingestion(INSIDER) as ingestion:
        ingestion.put(draft("a.txt", f"{LINE}\n" * 4, label("acme/user:hal")))
    cells = {content for _, _, content in [*first, *sealed_cells(world)]}
    assert len(first) > 40
    assert repeated(cells) == set()
    everything = [*cells, *{value for _, value in other_sealed(world)}]
    assert len(everything) > len(cells) + 10
    assert repeated(everything) == set()
    nonces = [value[:NONCE_BYTES] for value in everything]
    assert len(set(nonces)) == len(nonces)
    # The look would find one: a value sealed twice alike, and a stretch in common.
    assert repeated([*everything, everything[0]])
    assert repeated([*everything, b"xy" + everything[5][10:30]])


@pytest.mark.parametrize("text", ["a", LINE, "x" * 5000, "ünïcödé " * 40, "".join(map(chr, range(161, 600)))])
def test_a_length_tells_the_length_after_compression_and_nothing_more(world: World, text: str) -> None:
    world.put(draft("a.txt", text, label()))
    told = {column: len(content) - OVERHEAD_BYTES for column, _, content in sealed_cells(world)}
    assert told["documents.text"] == told["chunks.text"] == len(zlib.compress(text.encode(), 6))
    assert told["chunks.terms"] == len(zlib.compress(_json(text.split()), 6))
    assert told["chunks.vector"] == 4 * MODEL.dimensions


def test_texts_of_one_compressed_length_have_one_length_whatever_they_say(world: World) -> None:
    """Two answers to one question, as long as each other, cannot be told apart."""
    texts = [f"the board has decided: {word}" for word in ("sold", "stay", "pays")]
    assert len({len(zlib.compress(text.encode(), 6)) for text in texts}) == 1
    assert len({len(zlib.compress(_json(text.split()), 6)) for text in texts}) == 1
    world.put(*(draft(f"{number}.txt", text, label()) for number, text in enumerate(texts)))
    lengths = defaultdict(set)
    for column, _, content in sealed_cells(world):
        lengths[column].add(len(content))
    # A document's metadata holds its digest, whose own length after compression wanders by its digits alone.
    del lengths["documents.metadata"]
    assert all(len(found) == 1 for found in lengths.values()), lengths


def _json(words: list[str]) -> bytes:
    return json.dumps(words, separators=(",", ":"), ensure_ascii=False).encode()


def test_who_ingests_guesses_sees_no_hidden_length_or_byte_change(world: World) -> None:
    """Compression beside a secret tells it guess by guess (CRIME); here each value is compressed by itself."""
    secret = "the password of the vault is tarnfield-forty-two"
    world.put(draft("vault.txt", secret, label()))
    hidden = {(column, row): content for column, row, content in sealed_cells(world)}
    length = {column: len(content) for (column, _), content in hidden.items()}["chunks.text"]
    guesses = [
        secret[:29] + guess for guess in ("tarnfield-forty-two", "oxbridge-seventyone", "tarnfield-forty-six")
    ]
    for guess in guesses:
        world.put(draft("guess.txt", guess, label("acme/user:dex")), who=INSIDER, source=HIS)
        after = {(column, row): content for column, row, content in sealed_cells(world)}
        assert {place: after[place] for place in hidden} == hidden
        own = [
            len(content)
            for place, content in after.items()
            if place not in hidden and place[0] == "chunks.text"
        ]
        assert own == [OVERHEAD_BYTES + len(zlib.compress(guess.encode(), 6))]
    assert length == OVERHEAD_BYTES + len(zlib.compress(secret.encode(), 6))


# Every kind of file, and what a killed writer leaves.

KINDS = {
    "rows": "lance/*.lance/data/*.lance",
    "versions": "lance/*.lance/_versions/*.manifest",
    "newest version": "lance/*.lance/_versions/latest_version_hint.json",
    "transactions": "lance/*.lance/_transactions/*.txn",
    "deletions": "lance/*.lance/_deletions/*",
    "catalog": "catalog.db",
    "write-ahead log": "catalog.db-wal",
    "audit": "audit/*.jsonl",
    "lineage": "lineage/*",
    **({"indexes": "lance/*.lance/_indices/*/*"} if DEFAULT_MODE.indexed else {}),
}
"""Kinds of files in a store. A new kind makes the next test fail, so that it is looked into too."""


def test_no_kind_of_file_holds_a_word_a_name_or_a_path(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replaced, relabelled and removed: what Lance writes down of each stands in its transactions and deletions."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    # Python tries its temporary folder out when it is first asked for one.
    tempfile.gettempdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    untouched = temporary.stat().st_mtime_ns
    words = {"text": "zyrquonword", "old": "plendwickword", "gone": "garmotheword", "path": "quibbordpath"}
    path, gone = f"{words['path']}/a.txt", f"{words['path']}/b.txt"
    world.put(
        draft("stays.txt", "stays", label()),
        draft(path, words["old"], label()),
        draft(gone, words["gone"], label()),
        who=INSIDER,
    )
    with world.ingestion(INSIDER) as ingestion:
        ingestion.put(draft(path, words["text"], label("acme/user:dora", "acme/user:hal")))
        assert ingestion.remove(gone)
    with world.ingestion(INSIDER) as ingestion:
        assert ingestion.relabel(path, label("acme/user:dora"))
    assert world.see("acme/user:dora").texts == (words["text"], "stays")
    files = {file for file in world.path.rglob("*") if file.is_file()}
    known = {kind: set(world.path.glob(pattern)) for kind, pattern in KINDS.items()}
    assert all(known.values()), {kind for kind, found in known.items() if not found}
    rest = {file.relative_to(world.path).as_posix() for file in files - set().union(*known.values())}
    assert {name for name in rest if not name.startswith(("store.json", "catalog.db-shm"))} == set()
    assert found_in([world.path, world.keys], words.values()) == []
    # Nothing was even made there and taken away: the folder itself would be newer.
    assert temporary.stat().st_mtime_ns == untouched


def found_in(folders: Iterable[Path], words: Iterable[str]) -> list[tuple[str, str]]:
    """Return which word stands in which file or name."""
    return [
        (word, file.name)
        for folder in folders
        for file in folder.rglob("*")
        for word in words
        for form in forms(word)
        if word in file.name or (file.is_file() and form in file.read_bytes())
    ]


@pytest.fixture(scope="module")
def instants(template: World, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many instants the line of publications has."""
    world = copy_world(template, tmp_path_factory.mktemp("counted"))
    with watched(Instants()) as counted:
        for number in range(1, PUBLICATIONS + 1):
            write_publication(world, number)
    world.door.close()
    return counted.count


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_a_writer_killed_in_the_middle_leaves_nothing_readable_anywhere(
    world: World, instants: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    """Not in the store, beside the keys, in the temporary folder or the working one; nor after the next writer."""
    temporary, working = tmp_path / "temporary", tmp_path / "working"
    for folder in (temporary, working):
        folder.mkdir()
    # Python tries its temporary folder out when it is first asked for one.
    tempfile.gettempdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.chdir(working)
    untouched = [folder.stat().st_mtime_ns for folder in (temporary, working)]
    world.door.close()
    with process("die", world.folder, str(int(instants * share)), "0") as writer:
        writer.hear_out()
    assert writer.child.returncode == -signal.SIGKILL
    # Words of its texts; `moved`, a path too, is also a word of the log.
    words = ("and more", "new of", "a of ", "b of ")
    folders = [world.path, world.keys, temporary, working]
    assert found_in(folders, words) == []
    after = open_world(world.folder)
    with after.ingestion(WRITER) as ingestion:
        ingestion.put(draft("last", "and more", "acme/label:staff"))
    after.door.close()
    assert found_in(folders, words) == []
    assert [folder.stat().st_mtime_ns for folder in (temporary, working)] == untouched


def test_the_look_would_find_a_word_left_by_a_dead_writer(tmp_path: Path) -> None:
    (tmp_path / "spilled").write_bytes(vector("x").tobytes() + b"a line and more of it")
    assert found_in([tmp_path], ["and more"]) == [("and more", "spilled")]
