from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from ringfence_governance.drafts import SourceIdentity
from ringfence_governance.errors import InvalidInput
from ringfence_governance.labels import Label
from ringfence_ingest.documents import Document, Loaded, SourceItem
from ringfence_ingest.errors import LabelFileRefused, SourceRefused
from ringfence_ingest.sources import open_source
from ringfence_ingest.sources_url import UrlSource, without_credentials
from ringfence_ingest.summary import Summary

LABEL = Label("acme", "acme/user:dora")


@pytest.fixture
def memory() -> Iterator[Any]:
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield files
    files.store.clear()


def paths(source: Any) -> list[str]:
    return [item.path for item in source.items() if isinstance(item, SourceItem)]


def test_what_is_opened_is_decided_by_what_is_there(folder: Path) -> None:
    (folder / "a.txt").write_text("x")
    assert open_source(folder).identity.kind == "folder"
    assert open_source(str(folder)).identity.kind == "folder"
    assert open_source(folder / "a.txt").identity == SourceIdentity((folder / "a.txt").as_uri(), "file")
    assert open_source([]).identity == SourceIdentity("documents:documents", "documents")
    assert open_source([], name="wiki").identity.uri == "documents:wiki"


def test_a_file_address_is_the_same_source_as_its_path(folder: Path) -> None:
    (folder / "a b.txt").write_text("x")
    assert open_source(folder.as_uri()).identity == open_source(folder).identity
    assert open_source((folder / "a b.txt").as_uri()).identity == open_source(folder / "a b.txt").identity


def test_a_link_named_by_the_user_is_followed_to_what_it_names(folder: Path, tmp_path: Path) -> None:
    (folder / "a.txt").write_text("x")
    (tmp_path / "link").symlink_to(folder / "a.txt")
    assert open_source(tmp_path / "link").identity == open_source(folder / "a.txt").identity


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "found ''"),
        ("a\x00b", "found 'a\\x00b'"),
        ("does/not/exist", "leads nowhere"),
        (5, "found a int; expected a path"),
        (b"bytes", "found name 'documents' and a bytes"),
        ("nosuch://bucket/x", "which fsspec cannot open (ValueError)"),
        ("memory://empty/nothing", "found nothing at 'memory://empty/nothing'"),
    ],
)
def test_what_is_no_source_is_refused(source: Any, message: str) -> None:
    with pytest.raises(SourceRefused) as refused:
        open_source(source)
    assert message in str(refused.value)


def test_an_unclear_glob_is_refused_before_anything_is_read(folder: Path) -> None:
    with pytest.raises(InvalidInput, match=r"glob: found '../x'"):
        open_source(folder, include=["../x"])
    with pytest.raises(SourceRefused, match="include or exclude with documents"):
        open_source([], include=["*.md"])


def test_documents_from_python_keep_what_they_say(door: Any, run: Callable[..., Summary]) -> None:
    documents = [
        Document("a.md", "# Head\n\ntext", label=LABEL, parents=("p1",)),
        Document("b", b"plain", title="  B\nline ", modified="2026-01-31T00:00:00Z"),
        Document("c.html", "<p>caf\u00e9", media_type="text/html"),
    ]
    assert run(documents).added == 3
    stored = door.documents()
    assert stored["a.md"].title == "Head"
    assert stored["a.md"].parents == ("p1",)
    assert door.label_of("a.md") == LABEL
    assert stored["b"].title == "B line"
    assert stored["b"].modified == "2026-01-31T00:00:00Z"
    assert door.label_of("b") == Label("acme", "acme/user:ingester")
    assert stored["c.html"].text == "caf\u00e9"
    assert stored["c.html"].size == len("<p>caf\u00e9".encode())


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (Document("../up.md", "x"), "found '../up.md' with the part '..'"),
        (Document("/etc/passwd", "x"), "a leading '/'"),
        (Document("a\\b", "x"), "a backslash"),
        (Document("a\x00", "x"), "U+0000"),
        (Document("\udcff", "x"), "U+DCFF"),
        (Document(7, "x"), "path: found 7"),  # type: ignore[arg-type]
        (Document("a", 7), "content of type int"),  # type: ignore[arg-type]
        (Document("a", None), "content of type NoneType"),  # type: ignore[arg-type]
        (Document("a", "\ud800"), "half of a surrogate pair at character 0"),
        (Document("a.pdf", "text"), "found text as content of application/pdf"),
        (Document("a", "x", modified="2026-01-31"), "modified"),
        (Document("a", "x", label="payroll"), "may not ingest under"),
    ],
)
def test_a_bad_document_is_reported_and_the_rest_goes_on(
    run: Callable[..., Summary], document: Document, message: str
) -> None:
    summary = run([document, Document("good", "good text")])
    assert summary.added == 1
    (report,) = summary.failed + summary.refused
    assert message in report.reason
    report.path.encode("utf-8")


def test_two_documents_with_one_name_are_reported(door: Any, run: Callable[..., Summary]) -> None:
    summary = run([Document("a", "first text"), Document("a", "second text")])
    assert summary.added == 1
    assert summary.failed[0].reason == (
        "found a second document of this path; expected each path once; give each document a path of its own"
    )
    assert door.documents()["a"].text == "first text"


def test_something_that_is_no_document_stops_the_run_by_name(run: Callable[..., Summary]) -> None:
    with pytest.raises(SourceRefused, match="found a str as item 2; expected a ringfence Document"):
        run([Document("a", "x"), "text"])


def test_a_source_of_ones_own_is_taken_as_it_is(door: Any, run: Callable[..., Summary]) -> None:
    class Wiki:
        identity = SourceIdentity("wiki:main", "documents")

        def items(self) -> Iterator[SourceItem]:
            yield SourceItem("home", load=lambda bytes_max: Loaded(b"welcome"))

    wiki = Wiki()
    assert open_source(wiki) is wiki
    assert run(wiki).added == 1
    assert list(door.sources) == [Wiki.identity]


def test_an_address_of_any_filesystem_is_a_source(
    memory: Any, door: Any, run: Callable[..., Summary]
) -> None:
    memory.pipe("/team/b.md", b"# B")
    memory.pipe("/team/in/a.txt", b"a text")
    memory.pipe("/team/.hidden/c.txt", b"c text")
    memory.pipe("/team/in/.ringfence.yaml", b"version: 1\nrules: [{glob: '**', level: 3}]")
    memory.pipe("/team/box.mbox", b"From a@b Mon Nov  2 10:00:00 2026\nSubject: s\n\nhello\n")
    summary = run("memory://team")
    assert summary.complete
    assert summary.added == 3
    found = door.documents()
    assert sorted(path.partition("/")[0] for path in found) == ["b.md", "box.mbox", "in"]
    assert door.label_of("in/a.txt").level == 3
    assert run("memory://team").unchanged == 3


def test_globs_apply_to_addresses_too(memory: Any) -> None:
    memory.pipe("/team/b.md", b"# B")
    memory.pipe("/team/old/a.md", b"a text")
    assert paths(open_source("memory://team", include=["**/*.md"], exclude=["old"])) == ["b.md"]
    assert paths(open_source("memory://team/b.md")) == ["b.md"]


def test_path_traversal_in_an_archives_names_is_reported(tmp_path: Path, run: Callable[..., Summary]) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("../../etc/passwd", "x")
        archive.writestr("ok.txt", "fine text")
        archive.writestr("a\\b.txt", "x")
    summary = run(f"zip://::file://{tmp_path}/a.zip")
    assert summary.added == 1
    assert len(summary.failed) == 2
    assert all("path: found" in report.reason for report in summary.failed)


def test_a_malformed_root_file_at_an_address_stops_the_run(memory: Any) -> None:
    memory.pipe("/team/.ringfence.yaml", b"version: 3")
    memory.pipe("/team/a.txt", b"x")
    with pytest.raises(LabelFileRefused, match="found version 3"):
        open_source("memory://team")


def test_an_address_shows_no_credentials() -> None:
    assert without_credentials("s3://key:secret@host/b?token=x#y") == "s3://host/b"
    with pytest.raises(SourceRefused) as refused:
        UrlSource("nosuch://key:secret@host/b")
    assert "secret" not in str(refused.value)
    assert refused.value.__suppress_context__


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("zip://a.txt::ftp://user:SECRET@host/x.zip", "zip://a.txt::ftp://host/x.zip"),
        ("simplecache::ftp://user:SECRET@host/x", "simplecache::ftp://host/x"),
        ("zip://a::simplecache::https://host/x?token=SECRET#SECRET", "zip://a::simplecache::https://host/x"),
        ("https://host/a;token=SECRET/b;SECRET#SECRET", "https://host/a/b"),
        ("https://host?token=SECRET/SECRET", "https://host"),
        ("ftp://user:p@SECRET@host:21/x", "ftp://host:21/x"),
        ("s3://bucket/people/ada@acme.example.txt", "s3://bucket/people/ada@acme.example.txt"),
        ("zip://a.txt::/srv/ada@acme/b.zip", "zip://a.txt::/srv/ada@acme/b.zip"),
    ],
)
def test_no_part_of_a_chained_address_shows_credentials(address: str, shown: str) -> None:
    assert without_credentials(address) == shown


@pytest.mark.parametrize(
    "address",
    [
        "ftp://user:SEC?RET@host/x",
        "ftp://user:SEC#RET@host/x",
        "ftp://user:SEC;RET@host/x",
        "ftp://user:SEC/RET@host/x",
        "ftp://user:SEC?R/ET@host/x",
        "ftp://user:SEC::RET@host/x",
        "ftp://user:SEC::/RET@host/x",
        "zip://a.txt::user:SECRET@host/x",
    ],
)
def test_an_address_with_unclear_credentials_is_refused_and_not_shown(address: str) -> None:
    with pytest.raises(SourceRefused, match="cannot be told from the rest") as refused:
        open_source(address)
    assert not [word for word in ("SEC", "RET", "user:SE", "host/x") if word in str(refused.value)]


def test_files_too_large_at_an_address_are_reported(memory: Any, run: Callable[..., Summary]) -> None:
    memory.pipe("/team/a.txt", b"x" * 2000)
    summary = run("memory://team", bytes_max=1000)
    assert summary.failed[0].reason.startswith("found a file of 2000 bytes; expected at most 1000")


def test_no_source_prints_more_than_its_place(folder: Path, memory: Any) -> None:
    memory.pipe("/team/a.txt", b"x")
    os.mkdir(folder / "d")
    (folder / "a.txt").write_text("secret")
    for source in (folder, folder / "a.txt", "memory://team", [Document("a", "secret", title="secret")]):
        opened = open_source(source)  # type: ignore[arg-type]
        assert "secret" not in repr(opened)
        assert all("secret" not in repr(item) for item in opened.items())
    assert "secret" not in repr(Document("a", "secret", title="secret"))
    assert "secret" not in repr(Loaded(b"secret"))
