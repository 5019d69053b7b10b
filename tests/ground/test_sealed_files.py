"""Who has every file of a store and no key finds no text, no name, no term and no vector in it."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import lance
import numpy as np
import pytest

from ringfence_governance.drafts import SourceIdentity
from ringfence_governance.labels import NamedLabel
from ringfence_governance.policy_changes import Reasoned
from ringfence_governance.reading import Answer
from ringfence_governance.subjects import Subject
from ringfence_governance.table_schemas import BLINDED

from .worlds import MODEL, World, draft, label, subject, vector

TEXT = "zyrquon mergers with ombrexia\nat forty two kroofils"
CANARIES = {
    "text": "ombrexia",
    "term": "kroofils",
    "old text": "plendwick",
    "removed text": "garmothe",
    "title": "vastilline",
    "path": "quibbord",
    "folder": "dronkel",
    "source": "snarvle",
    "label name": "thrumbat",
    "label owner": "elquine",
    "label reader": "fossark",
    "group in a label": "gwendrix",
    "compartment": "hobrune",
    "query": "iskander-vool",
    "why of a change": "jumprelle",
    "ticket of a change": "krandovic",
    "label origin": "explicit",
    "parent text": "lumtresk",
}
FOLDER = SourceIdentity("file:///srv/snarvle/dronkel", "folder")


@pytest.fixture
def planted(world: World) -> World:
    """A store through whose whole life the canaries went."""
    secret = label(
        "acme/user:elquine", "acme/user:fossark", "acme/group:gwendrix", level=3, compartments=["hobrune"]
    )
    world.door.define_label(
        subject("acme/user:ada"),
        NamedLabel("acme/label:thrumbat", secret),
        Reasoned("jumprelle", "krandovic"),
    )
    dex = "acme/user:dex"
    world.put(
        draft("dronkel/quibbord.txt", "plendwick", "acme/label:thrumbat", title="vastilline"),
        draft("dronkel/gone.txt", "garmothe", secret),
        who=dex,
        source=FOLDER,
    )
    with world.ingestion(dex, FOLDER) as ingestion:
        ingestion.put(draft("dronkel/quibbord.txt", TEXT, "acme/label:thrumbat", title="vastilline"))
        assert ingestion.remove("dronkel/gone.txt")
    (parent,) = world.put(draft("parent.txt", "lumtresk", label("acme/user:dex")), who=dex, source=FOLDER)
    world.put(
        draft("child.txt", "lumtresk too", label("acme/user:dex"), parents=[parent]), who=dex, source=FOLDER
    )
    with world.ingestion(dex, FOLDER) as ingestion:
        assert ingestion.relabel("dronkel/quibbord.txt", secret)
    world.door.read(
        Subject(dex), "search", lambda reader: Answer([], lambda as_of: None), query="iskander-vool"
    )
    assert world.see(dex).texts == ("lumtresk too", "lumtresk")
    return world


def everything(world: World) -> Iterator[tuple[Path, bytes]]:
    """Every file of the store and of its keys, name and content, the key file itself left out."""
    for folder in (world.path, world.keys):
        for file in folder.rglob("*"):
            if file.is_file() and file.name != "master.key":
                yield file, file.read_bytes()


def forms(word: str) -> set[bytes]:
    """The ways a word may stand in a file."""
    plain = word.encode()
    return {
        plain,
        plain.upper(),
        word.encode("utf-16-le"),
        plain.hex().encode(),
        base64.b64encode(plain)[:-2],
    }


@pytest.mark.parametrize("state", ["open", "closed"])
def test_no_file_holds_a_canary(planted: World, state: str) -> None:
    if state == "closed":
        planted.door.close()  # the write-ahead logs go into the databases
    found = [
        (what, file.name)
        for file, content in everything(planted)
        for what, word in CANARIES.items()
        for form in forms(word)
        if form in content or word in str(file.relative_to(planted.folder))
    ]
    assert found == []


def test_the_scan_would_find_them(planted: World) -> None:
    """The same scan over a file that holds one of each form finds every one of them."""
    for number, word in enumerate(CANARIES.values()):
        for form in forms(word):
            (planted.path / "lance" / f"planted {number}").write_bytes(b"...." + form + b"....")
            assert any(form in content for _, content in everything(planted))


def test_no_file_holds_the_bytes_of_a_vector(planted: World) -> None:
    wanted = {
        vector(line).astype(kind).tobytes()
        for line in TEXT.splitlines(True)
        for kind in ("<f4", "<f2", "<f8")
    }
    for needle in wanted:
        for file, content in everything(planted):
            assert needle[:8] not in content, file.name


def test_no_file_holds_a_digest_of_a_document(planted: World) -> None:
    """An unkeyed digest would tell who guesses the text that he guessed right."""

    for text in (TEXT, "plendwick", "garmothe", "lumtresk"):
        for digest in (
            hashlib.sha256(text.encode()),
            hashlib.md5(text.encode()),
            hashlib.sha1(text.encode()),
        ):
            for file, content in everything(planted):
                assert digest.digest() not in content, file.name
                assert digest.hexdigest().encode() not in content, file.name


def test_lance_itself_opened_on_the_folder_gives_no_word_in_any_version(planted: World) -> None:
    # The tokens of an indexed store's words: see test_indexed_files.py.
    blinded = {BLINDED} if planted.ground.tables.mode.indexed else set()
    for table in ("documents", "chunks", "edges"):
        path = str(planted.path / "lance" / f"{table}.lance")
        for version in lance.dataset(path).versions():
            rows = lance.dataset(path, version=version["version"]).to_table().to_pylist()
            shown = repr(rows)
            assert not [word for word in CANARIES.values() if word in shown]
            for row in rows:
                plain = {name for name, value in row.items() if isinstance(value, str)} - blinded
                assert plain <= {"id", "run_id", "document_id", "child", "parent", "kind"}
                for name in plain - {"kind"}:
                    assert re.fullmatch("[0-9a-f]{32}", row[name])


def test_sealed_vectors_are_noise_to_an_honest_query(world: World) -> None:
    """Read as floats, the stored bytes rank a passage no better than chance for its own vector."""
    texts = [f"passage number {n} of the book" for n in range(60)]
    world.put(*(draft(f"{n}.txt", text) for n, text in enumerate(texts)))
    stored = lance.dataset(str(world.path / "lance" / "chunks.lance")).to_table().to_pylist()
    order = {row["id"]: row["document_id"] for row in stored}
    with np.errstate(invalid="ignore"):
        floats = {row["id"]: np.frombuffer(row["vector"][12:44], "<f4").astype(np.float64) for row in stored}
    read = {chunk: np.nan_to_num(found, posinf=0, neginf=0) for chunk, found in floats.items()}
    documents = world.see("acme/user:hal").ids
    ranks = []
    for n, text in enumerate(texts):
        scores = {
            chunk: float(vector(text) @ (found / (np.linalg.norm(found) or 1)))
            for chunk, found in read.items()
        }
        ranking = [order[chunk] for chunk in sorted(scores, key=lambda chunk: -scores[chunk])]
        ranks.append(ranking.index(documents[f"{n}.txt"]))
    assert np.mean(ranks) > 15  # 0 if they were readable; chance is 29.5, its standard error 2.2
    assert MODEL.dimensions == len(vector(texts[0]))


def test_equal_documents_of_two_sources_have_nothing_in_common(world: World) -> None:
    """Two documents, two keys, two ids, two digests: the files do not show that they are equal."""
    same = draft("same.txt", "the very same words", label())
    world.put(same)
    world.put(same, source=SourceIdentity("file:///elsewhere", "folder"), who="acme/user:dex")
    rows = lance.dataset(str(world.path / "lance" / "chunks.lance")).to_table().to_pylist()
    assert len(rows) == 2
    for column in ("id", "document_id", "text", "vector", "terms", "metadata", "run_id"):
        assert rows[0][column] != rows[1][column]


def test_one_who_ingests_a_dictionary_learns_no_word_of_others(world: World) -> None:
    """The attack on deterministic tokens: his own words' tokens would be the codebook for everybody's."""
    secret = "acquisition of meridian signed on friday"
    world.put(draft("secret.txt", secret, label()))
    source = SourceIdentity("file:///dictionary", "folder")
    own = label("acme/user:dex")
    world.put(
        *(draft(f"{word}.txt", word, own) for word in secret.split()),
        who="acme/user:dex",
        source=source,
    )
    rows = lance.dataset(str(world.path / "lance" / "chunks.lance")).to_table().to_pylist()
    pieces = [{row["terms"][start : start + 8] for start in range(len(row["terms"]) - 7)} for row in rows]
    for number, found in enumerate(pieces):
        others = set().union(*pieces[:number], *pieces[number + 1 :])
        assert found.isdisjoint(others)
