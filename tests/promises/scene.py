"""Everything a program can be handed by the public face: results, errors, and what is printed meanwhile."""

from __future__ import annotations

import dataclasses
import functools
import io
import logging
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import ringfence
from ringfence_governance.audit_schema import SCHEMAS
from ringfence_ingest.embedders import open_embedder

from .full_disk import no_file_grows

ADA, OLGA, INGESTER = "acme/user:ada", "acme/user:olga", "acme/user:ingester"
RITA, DORA, GHOST = "acme/user:rita", "acme/user:dora", "acme/user:ghost"

POLICY = f"""\
p, *, *, *, read, owner, *, -, -, allow
p, *, *, *, read, reader, *, -, -, allow
p, *, *, *, *, denied, *, -, -, deny
p, {ADA}, acme, acme/policy, administer, any, *, -, -, allow
p, {OLGA}, acme, *, audit, any, *, -, -, allow
g, {RITA}, acme/group:sales
"""
LABELS = f"""\
labels:
  acme/label:secretlabelname:
    owner: {DORA}
  acme/label:sharedlabelname:
    owner: {DORA}
    readers: [acme/group:sales]
"""
CANARIES = {
    "shared": ("sharedzebrafinch", "sales/sharedpathquokka.txt"),
    "hidden": ("hiddenwolverine", "hr/hiddenpathnarwhal.txt"),
    "named": ("namedaxolotl", "board/namedpathpangolin.txt"),
}
"""What the three documents are called here -> a word of each, and its path."""

READABLE = {RITA: {"shared"}, DORA: {"shared", "hidden", "named"}, GHOST: set(), OLGA: set(), ADA: set()}


def documents() -> list[ringfence.Document]:
    labels = {
        "shared": "acme/label:sharedlabelname",
        "hidden": ringfence.Label.from_mapping({"owner": DORA}),
        "named": "acme/label:secretlabelname",
    }
    return [
        ringfence.Document(path, f"The {word} is worth a pump.\n\nA second {word} too.", label=labels[name])
        for name, (word, path) in CANARIES.items()
    ]


@dataclass
class Scene:
    """An open store, what was got from it by whom, and what was printed meanwhile."""

    store: ringfence.Store
    path: Path
    got: dict[str, list[tuple[str, object]]] = field(default_factory=dict)
    printed: str = ""

    def keep(self, who: str, name: str, thing: object) -> None:
        self.got.setdefault(who, []).append((name, thing))

    def keep_error(self, who: str, name: str, call: Callable[[], object]) -> None:
        """Keep the error a call ends in; that it ends in one is part of the test."""
        try:
            call()
        except BaseException as error:  # noqa: BLE001  (an interrupt is walked too)
            self.keep(who, f"{name} -> {type(error).__name__}", error)
        else:
            pytest.fail(f"{name} raised nothing")


@contextmanager
def handed_out(folder: Path) -> Iterator[Scene]:
    """Everything a program can be handed by the public face, got once by each of several subjects."""
    (folder / "policy").mkdir()
    (folder / "policy" / "policy.csv").write_text(POLICY, "utf-8")
    (folder / "policy" / "labels.yaml").write_text(LABELS, "utf-8")
    logged = io.StringIO()
    handler = logging.StreamHandler(logged)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        path = folder / "store"
        with ringfence.create(path, folder / "policy", admin=INGESTER, embedder="hash") as store:
            made = Scene(store, path)
            ingest_everything(made)
            for who in READABLE:
                read_everything(made, who)
            fail_everywhere(made, folder)
            made.printed = logged.getvalue()
            yield made
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def ingest_everything(scene: Scene) -> None:
    reports: list[object] = []
    summary = scene.store.ingest(documents(), as_user=INGESTER, on_progress=reports.append)
    assert summary.added == len(CANARIES)
    scene.keep(GHOST, "store", scene.store)
    scene.keep(GHOST, "progress", reports)
    scene.keep(INGESTER, "summary", summary)
    scene.keep(INGESTER, "planned", scene.store.ingest(documents(), as_user=INGESTER, dry_run=True))


def read_everything(scene: Scene, who: str) -> None:
    reader = scene.store.as_user(who)
    scene.keep(who, "reader", reader)
    scene.keep(who, "subject", reader.subject)
    for mode in ("vector", "text", "hybrid"):
        found = reader.search("pump", mode=mode)
        assert {hit.source.path for hit in found} == {CANARIES[name][1] for name in READABLE[who]}
        scene.keep(who, f"search {mode}", found)
        scene.keep(who, f"hits {mode}", [*found, iter(found), found.to_mapping()])
        scene.keep(who, f"table {mode}", found.to_arrow().to_pylist())
    found = reader.context("pump")
    scene.keep(who, "context", [found, *found, *found.citations, iter(found), found.text, found.to_mapping()])
    listed = reader.list()
    scene.keep(who, "list", listed)
    scene.keep(who, "count", reader.count())
    scene.keep(who, "status", reader.status())
    scene.keep(who, "what", reader.what(documents=True))
    for document in listed:
        scene.keep(who, "text", reader.text(document))
        scene.keep(who, "why", reader.why(document))
    hidden = scene.store.as_user(DORA).list()[0].id
    if who == OLGA:
        scene.keep(who, "who", reader.who(hidden))
        scene.keep(who, "why_for", reader.why_for(RITA, hidden))
        scene.keep(who, "what_for", reader.what_for(DORA))
        scene.keep(who, "log", reader.log())
        tables = reader.audit_database()
        scene.keep(who, "audit_database", tables)
        for query in (*(f"FROM {name}" for name in SCHEMAS), "FROM who_can(?)"):
            scene.keep(who, query, tables.sql(query, [hidden] if "?" in query else []))
        scene.keep_error(who, "sql that fails", lambda: tables.sql("SELECT error(owner) FROM labels"))
        scene.keep_error(who, "sql that is none", lambda: tables.sql("ATTACH 'x'"))
    if who == ADA:
        scene.keep(who, "policy", reader.policy())
        scene.keep(who, "diff_policy", reader.diff_policy(scene.path.parent / "policy"))
        scene.keep(who, "apply_policy", reader.apply_policy(scene.path.parent / "policy", why="as it is"))
    if who in (ADA, OLGA):
        scene.keep(who, "labels", reader.labels())
        scene.keep(who, "label_history", reader.label_history("acme/label:secretlabelname"))
    for name, call in refusals(reader, hidden, who, scene.path.parent / "policy"):
        scene.keep_error(who, name, call)


def refusals(
    reader: ringfence.Reader, hidden: str, who: str, files: Path
) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield calls that this reader is refused, about an object that exists."""
    if who != DORA:
        yield "text", lambda: reader.text(hidden)
        yield "why", lambda: reader.why(hidden)
        yield "register_answer", lambda: reader.register_answer("A pump.", [hidden])
    if who != OLGA:
        yield "who", lambda: reader.who(hidden)
        yield "why_for", lambda: reader.why_for(DORA, hidden)
        yield "what_for", lambda: reader.what_for(DORA)
        yield "log", reader.log
        yield "audit_database", reader.audit_database
    if who != ADA:
        yield "policy", reader.policy
        yield "grant", lambda: reader.grant(who, "read", "acme/label:secretlabelname", why="mine")
        yield "revoke", lambda: reader.revoke(DORA, "read", "*", why="mine")
        yield "add_member", lambda: reader.add_member(who, "acme/group:sales", why="mine")
        yield "remove_member", lambda: reader.remove_member(RITA, "acme/group:sales", why="mine")
        label = ringfence.Label.from_mapping({"owner": who})
        yield "define_label", lambda: reader.define_label("acme/label:secretlabelname", label, why="mine")
        yield "redefine_label", lambda: reader.redefine_label("acme/label:secretlabelname", label, why="mine")
        yield "expire_label", lambda: reader.expire_label("acme/label:secretlabelname", why="mine")
        yield "apply_policy", lambda: reader.apply_policy(files, why="mine")
        yield "diff_policy", lambda: reader.diff_policy(files)
    if who not in (ADA, OLGA):
        yield "labels", reader.labels
        yield "label_history", lambda: reader.label_history("acme/label:secretlabelname")
    yield "malformed grant", lambda: reader.grant("Ada", "reed", "everything", why="x")
    yield "empty query", lambda: reader.search("")
    yield "k", lambda: reader.search("pump", k="many")  # type: ignore[arg-type]
    yield "no object", lambda: reader.why(None)  # type: ignore[arg-type]
    yield "arguments", reader.search
    yield "pickle", lambda: pickle.dumps(reader)


class Stop(Exception):
    """What an application's own callback or connector raises."""


def fail_everywhere(scene: Scene, folder: Path) -> None:
    """Make the store fail in as many ways as can be had from outside, while hidden rows are in its hands."""
    store, reader = scene.store, scene.store.as_user(RITA)

    def stopping(_: object) -> None:
        raise Stop("the application's own")

    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    def connector() -> Iterator[ringfence.Document]:
        yield documents()[1]
        raise Stop("the connector's own")

    changed = [dataclasses.replace(each, content=f"{each.content!r} changed") for each in documents()]
    ingest = functools.partial(store.ingest, as_user=INGESTER)
    scene.keep_error(GHOST, "callback", lambda: ingest(changed, on_progress=stopping))
    scene.keep_error(GHOST, "interrupt", lambda: ingest(changed, on_progress=interrupted))
    scene.keep_error(GHOST, "connector", lambda: ingest(connector()))
    scene.keep_error(GHOST, "source", lambda: ingest(folder / "nowhere"))
    scene.keep_error(GHOST, "ingest", lambda: store.ingest(documents(), as_user=GHOST))
    unknown = [dataclasses.replace(each, label="acme/label:none") for each in documents()]
    scene.keep(INGESTER, "refused", ingest(unknown))
    scene.keep_error(GHOST, "open", lambda: ringfence.open(folder))
    scene.keep_error(GHOST, "other policy", lambda: ringfence.open(scene.path, other_policy(folder)))
    scene.keep_error(GHOST, "create", lambda: ringfence.create(scene.path))
    scene.keep_error(GHOST, "bad policy", lambda: ringfence.create(folder / "x", bad_policy(folder)))
    scene.keep_error(RITA, "embedder", lambda: broken_embedder_search(scene))
    with no_file_grows(scene.path / "audit"):
        scene.keep_error(RITA, "audit", lambda: reader.search("pump"))
        scene.keep_error(RITA, "audit of a refusal", reader.log)
    for damage in (damaged_catalog, damaged_rows, no_tables):
        scene.keep_error(RITA, damage.__name__, lambda d=damage: d(scene, folder / d.__name__))


def other_policy(folder: Path) -> Path:
    other = folder / "other"
    other.mkdir(exist_ok=True)
    (other / "policy.csv").write_text(POLICY.replace(RITA, "acme/user:rob"), "utf-8")
    return other


def bad_policy(folder: Path) -> Path:
    other = folder / "bad"
    other.mkdir(exist_ok=True)
    (other / "policy.csv").write_text("p, ada, acme\n", "utf-8")
    return other


class BrokenEmbedder:
    """An application's embedder that fails when a question is put."""

    def __init__(self) -> None:
        self.model = open_embedder("hash").model

    def embed(self, texts: object) -> None:
        raise Stop("the embedder's own")


def broken_embedder_search(scene: Scene) -> None:
    with ringfence.open(scene.path, embedder=BrokenEmbedder()) as store:  # type: ignore[arg-type]
        store.as_user(RITA).search("pump")


def copied(scene: Scene, folder: Path) -> Path:
    return Path(shutil.copytree(scene.path, folder / "store"))


def damaged_catalog(scene: Scene, folder: Path) -> None:
    path = copied(scene, folder)
    (path / "catalog.db-wal").unlink(missing_ok=True)
    (path / "catalog.db").write_bytes(b"no database" * 4096)
    with ringfence.open(path) as store:
        store.as_user(RITA).search("pump")


def damaged_rows(scene: Scene, folder: Path) -> None:
    path = copied(scene, folder)
    for file in (path / "lance" / "chunks.lance" / "data").iterdir():
        file.write_bytes(os.urandom(file.stat().st_size))
    with ringfence.open(path, embedder="hash") as store:
        store.as_user(DORA).search("pump")


def no_tables(scene: Scene, folder: Path) -> None:
    path = copied(scene, folder)
    shutil.rmtree(path / "lance")
    with ringfence.open(path, embedder="hash") as store:
        store.as_user(DORA).list()
