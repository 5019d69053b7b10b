from __future__ import annotations

import io
import json
import os
import re
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pypdf import PdfReader, PdfWriter

from ringfence_governance.errors import InvalidInput, StoreBusy
from ringfence_governance.labels import Label
from ringfence_governance.subjects import Subject
from ringfence_ingest import drafting
from ringfence_ingest.documents import Document, Loaded, SourceItem
from ringfence_ingest.embedders.hashed import HashEmbedder
from ringfence_ingest.errors import FileTrouble
from ringfence_ingest.pipeline import ingest
from ringfence_ingest.progress import Progress
from ringfence_ingest.sources import open_source
from ringfence_ingest.summary import Summary, label_line

Run = Callable[..., Summary]

SECRET = "the crown is under the old oak"


def documents(*paths: str, text: str = "some text", **more: Any) -> list[Document]:
    return [Document(path, f"{text} of {path}", **more) for path in paths]


def counts(summary: Summary) -> tuple[int, int, int, int, int]:
    return (summary.added, summary.changed, summary.unchanged, summary.relabelled, summary.removed)


def test_a_second_run_finds_everything_unchanged(door: Any, run: Run) -> None:
    assert counts(run(documents("a", "b"))) == (2, 0, 0, 0, 0)
    puts = door.puts
    assert counts(run(documents("a", "b"))) == (0, 0, 2, 0, 0)
    assert door.puts == puts


def test_an_unchanged_document_is_neither_parsed_nor_embedded(
    monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    run(documents("a"))

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("parsed or embedded")

    monkeypatch.setattr(drafting.Drafter, "read", forbidden)
    monkeypatch.setattr(HashEmbedder, "embed", forbidden)
    assert run(documents("a")).unchanged == 1


def test_a_changed_document_is_replaced_and_a_new_label_relabels(door: Any, run: Run) -> None:
    run(documents("a", "b", "c"))
    dora = Label("acme", "acme/user:ingester", level=1)
    again = [Document("a", "other text"), Document("b", "some text of b", label=dora), *documents("c")]
    assert counts(run(again)) == (0, 1, 1, 1, 0)
    assert door.documents()["a"].text == "other text"
    assert door.label_of("b") == dora


def test_a_lowering_is_reported_and_not_done(door: Any, run: Run) -> None:
    high = Label("acme", "acme/user:ingester", level=2)
    run(documents("a", label=high))
    summary = run(documents("a"))
    assert summary.relabelled == 0
    assert summary.refused[0].reason == (
        "found a lower label (private to the ingester); expected the right to declassify; it keeps its label"
    )
    assert door.label_of("a") == high
    door.may_declassify = True
    assert run(documents("a")).relabelled == 1


def test_vanished_documents_are_removed_only_when_asked(door: Any, run: Run) -> None:
    run(documents("a", "b", "c"))
    assert run(documents("a")).removed == 0
    door.undeletable = {"c"}
    summary = run(documents("a"), remove_vanished=True)
    assert summary.removed == 1
    assert sorted(door.documents()) == ["a", "c"]
    assert summary.refused[0].path == "c"
    assert "no right to delete it" in summary.refused[0].reason


def test_a_document_that_fails_is_not_vanished(door: Any, run: Run) -> None:
    run(documents("a.txt"))
    summary = run([Document("a.txt", b"\xff not utf-8")], remove_vanished=True)
    assert summary.removed == 0
    assert len(summary.failed) == 1
    assert list(door.documents()) == ["a.txt"]


def test_a_document_that_breaks_still_gets_its_narrower_label(door: Any, run: Run) -> None:
    narrow = Label("acme", "acme/user:ingester", level=4)
    run(documents("a.txt"))
    summary = run([Document("a.txt", b"\xff not utf-8", label=narrow)])
    assert len(summary.failed) == 1
    assert door.label_of("a.txt") == narrow


def test_a_label_that_is_unknown_or_forbidden_is_refused_before_the_text_is_read(
    door: Any, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafting.Drafter, "read", lambda *_: pytest.fail("the text was read"))
    door.named["acme/label:known"] = Label("acme", "acme/user:x")
    door.forbidden.append("acme/label:known")
    summary = run(documents("a"), label="acme/label:unknown")
    assert "may not ingest under" in summary.refused[0].reason
    assert run(documents("a"), label="acme/label:known").refused[0].reason == summary.refused[0].reason


def test_what_the_door_refuses_to_write_is_reported_for_that_document_only(door: Any, run: Run) -> None:
    door.refuse_writes = {"b"}
    summary = run(documents("a", "b", "c"))
    assert summary.added == 2
    assert [report.path for report in summary.refused] == ["b"]


def test_publications_come_every_n_documents(door: Any, run: Run) -> None:
    run(documents(*"abcde"), publish_every=2)
    assert [count for call, count in door.calls if call == "publish"] == [2, 2, 1]


def test_a_killed_run_goes_on_where_it_was_published(door: Any, run: Run) -> None:
    door.fail_after = 5
    with pytest.raises(KeyboardInterrupt):
        run(documents(*"abcdefgh"), publish_every=2)
    assert sorted(door.documents()) == list("abcd")
    door.fail_after = None
    assert counts(run(documents(*"abcdefgh"), publish_every=2)) == (4, 0, 4, 0, 0)


def test_what_is_wrong_with_the_store_ends_the_run(
    door: Any, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object) -> None:
        raise StoreBusy("another writer holds the lease")

    with door.ingestion(None, open_source([]).identity, None, pipeline="") as ingestion:
        monkeypatch.setattr(type(ingestion), "put", busy)
    with pytest.raises(StoreBusy):
        run(documents("a"))


def test_settings_that_change_the_text_make_everything_changed(run: Run) -> None:
    assert counts(run(documents("a"))) == (1, 0, 0, 0, 0)
    assert counts(run(documents("a"), language="german")) == (0, 1, 0, 0, 0)


def test_two_documents_of_equal_bytes_are_two_documents(door: Any, run: Run) -> None:
    assert run([Document("a", "same text"), Document("b", "same text")]).added == 2
    assert len(door.documents()) == 2


def test_each_chunk_has_its_slice_its_vector_and_its_words(door: Any, run: Run) -> None:
    text = "Offers to Meridian. " * 100
    summary = run([Document("a", text)])
    draft = door.documents()["a"]
    assert summary.chunks == len(draft.chunks) > 3
    for chunk in draft.chunks:
        assert chunk.text == text[chunk.start : chunk.end]
        assert np.array_equal(chunk.vector, HashEmbedder().embed([chunk.text])[0])
        assert chunk.terms[:3] == ("offer", "to", "meridian")
        assert chunk.tokens == len(chunk.terms)


def test_a_documents_rows_do_not_depend_on_what_is_ingested_beside_it(door: Any, run: Run) -> None:
    run([Document("a", "Offers to Meridian. " * 40)])
    alone = door.documents()["a"]
    door.sources.clear()
    run(
        [
            Document("0", "hidden words " * 90),
            Document("a", "Offers to Meridian. " * 40),
            Document("z", "more"),
        ]
    )
    beside = door.documents()["a"]
    assert [chunk.vector.tobytes() for chunk in alone.chunks] == [c.vector.tobytes() for c in beside.chunks]


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.ones((1, 64), dtype=np.float32), "not of length 1"),
        (np.ones((1, 64)), "vectors float64"),
        (np.ones((1, 3), dtype=np.float32), r"shape \(1, 3\)"),
        (np.ones((2, 64), dtype=np.float32), r"shape \(2, 64\)"),
        (np.full((1, 64), np.nan, dtype=np.float32), "not of length 1"),
    ],
)
def test_an_embedder_that_breaks_its_word_is_caught(
    monkeypatch: pytest.MonkeyPatch, run: Run, vectors: np.ndarray, message: str
) -> None:
    monkeypatch.setattr(HashEmbedder, "embed", lambda *_: vectors)
    summary = run(documents("a"))
    assert summary.added == 0
    assert re.search(message, summary.failed[0].reason)


def test_a_dry_run_writes_nothing_and_says_what_would_be(folder: Path, door: Any, run: Run) -> None:
    (folder / "hr").mkdir()
    (folder / "hr" / "pay.md").write_text("pay text")
    (folder / "a.txt").write_text("text")
    (folder / "bad.txt").write_bytes(b"\xff")
    (folder / "no.txt").write_text("text")
    (folder / ".ringfence.yaml").write_text(
        "version: 1\nrules: [{glob: 'hr/**', label: acme/label:payroll}, {glob: no.txt, label: acme/label:none}]"
    )
    door.named["acme/label:payroll"] = Label("acme", "acme/user:dora")
    summary = run(folder, dry_run=True)
    assert [str(plan) for plan in summary.planned] == [
        "a.txt: owner acme/user:ingester (private to the ingester; new)",
        "bad.txt: owner acme/user:ingester (private to the ingester; new)",
        "no.txt: acme/label:none (.ringfence.yaml rule 2; refused)",
        "hr/pay.md: acme/label:payroll (.ringfence.yaml rule 1; new)",
    ]
    assert counts(summary) == (2, 0, 0, 0, 0)
    assert summary.chunks == 2
    assert [report.path for report in summary.failed] == ["bad.txt"]
    assert [report.path for report in summary.refused] == ["no.txt"]
    assert door.calls == []
    assert door.documents() == {}


def test_a_dry_run_judges_relabelling_and_removal(door: Any, run: Run) -> None:
    high = Label("acme", "acme/user:ingester", level=2)
    run([*documents("a", label=high), *documents("b", "gone")])
    summary = run(
        [*documents("a"), *documents("b", label=Label("acme", "acme/user:ingester", level=1))],
        dry_run=True,
        remove_vanished=True,
    )
    assert counts(summary) == (0, 0, 0, 1, 1)
    assert [report.path for report in summary.refused] == ["a"]
    assert sorted(door.documents()) == ["a", "b", "gone"]


def test_progress_counts_and_says_nothing_of_content(run: Run) -> None:
    seen: list[Progress] = []
    run(documents("a", "b"), [Document("c", b"\xff")], on_progress=seen.append)
    assert [
        (step.source_number, step.documents, step.expected, step.written, step.reported) for step in seen
    ] == [
        (1, 1, 2, 1, 0),
        (1, 2, 2, 2, 0),
        (2, 1, 1, 2, 1),
    ]
    assert all(step.sources == 2 for step in seen)
    assert "some text" not in repr(seen)


def test_a_summary_is_plain_json_with_fixed_keys(run: Run) -> None:
    mapping = run(documents("a"), [Document("c", b"\xff")], dry_run=True).to_mapping()
    assert list(mapping) == [
        "added",
        "changed",
        "unchanged",
        "relabelled",
        "removed",
        "chunks",
        "failed",
        "refused",
        "skipped",
        "notes",
        "planned",
        "dry_run",
        "seconds",
    ]
    assert json.loads(json.dumps(mapping))["failed"][0]["path"] == "c"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"publish_every": 0}, "publish_every 0"),
        ({"bytes_max": 0}, "bytes_max 0"),
        ({"language": "klingon"}, "language: found 'klingon'"),
        ({"encoding": "klingon"}, "encoding: found 'klingon'"),
        ({"encoding": "base64"}, "encoding: found 'base64'"),
    ],
)
def test_a_malformed_parameter_is_refused_before_anything_is_read(
    door: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        ingest(door, Subject("acme/user:x"), [open_source([])], embedder=HashEmbedder(), **options)
    assert message in str(refused.value)
    assert door.sources == {}


def test_a_label_prints_on_one_line() -> None:
    label = Label(
        "acme",
        "acme/user:a",
        frozenset({"*"}),
        denied=frozenset({"acme/user:b"}),
        level=2,
        compartments=frozenset({"x"}),
        purposes=frozenset({"audit"}),
        valid_until="2027-01-01T00:00:00Z",
    )
    assert label_line(label) == (
        "owner acme/user:a, readers *, denied acme/user:b, level 2, compartments x, purposes audit, "
        "valid until 2027-01-01T00:00:00Z"
    )
    assert label_line("acme/label:x") == "acme/label:x"


def sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def test_every_kind_of_bad_file_is_one_line_and_the_run_goes_on(
    folder: Path,
    run: Run,
    door: Any,
    make_pdf: Callable[..., bytes],
    make_docx: Callable[..., bytes],
) -> None:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(make_pdf(SECRET))))
    writer.encrypt("pw", algorithm="AES-256")
    writer.write(folder / "encrypted.pdf")
    (folder / "corrupt.pdf").write_bytes(make_pdf(SECRET)[:400])
    (folder / "cut.docx").write_bytes(make_docx(SECRET)[:500])
    (folder / "lying.docx").write_text(SECRET)
    with zipfile.ZipFile(folder / "bomb.docx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b"\0" * (300 * 2**20))
    sparse(folder / "huge.txt", 200 * 10**6)
    (folder / "latin.txt").write_bytes(SECRET.encode() + "é".encode("latin-1"))
    (folder / "empty.md").write_bytes(b"")
    (folder / "blank.md").write_text(" \n\n")
    (folder / "program").write_bytes(b"\x7fELF\x00" + SECRET.encode())
    (folder / "binary.txt").write_bytes(SECRET.encode() + b"\x00")
    (folder / "loop").symlink_to("loop")
    (folder / "out.txt").symlink_to("/etc/hostname")
    os.mkfifo(folder / "pipe.txt")
    (folder / "good.txt").write_text("a good text")
    (folder / "good.docx").write_bytes(make_docx("a good document"))
    (folder / "good.pdf").write_bytes(make_pdf("a good page"))
    summary = run(folder)
    assert summary.added == 3
    assert {report.path: report.reason.partition(";")[0] for report in summary.failed} == {
        "encrypted.pdf": "found an encrypted PDF",
        "corrupt.pdf": next(r.reason.partition(";")[0] for r in summary.failed if r.path == "corrupt.pdf"),
        "cut.docx": "found a broken zip archive",
        "lying.docx": "found no zip archive in a file called .docx",
        "bomb.docx": f"found an archive that expands to {300 * 2**20} bytes",
        "huge.txt": "found a file of 200000000 bytes",
        "latin.txt": "found bytes that are not utf-8 at byte 30",
        "loop": "found a symbolic link that leads to itself",
        "out.txt": "found a symbolic link out of the source",
        "pipe.txt": "found a pipe, device or socket",
    }
    assert {report.path: report.reason.partition(";")[0] for report in summary.skipped} == {
        "empty.md": "found an empty file",
        "blank.md": "found a file without a word",
        "program": "found a program",
        "binary.txt": "found binary data (a NUL byte)",
    }
    for report in (*summary.failed, *summary.skipped):
        assert report.reason.count("; ") == 2, report
        assert "; expected " in report.reason
    shown = json.dumps(summary.to_mapping()) + repr(summary)
    assert not [word for word in ("crown", "oak", "under") if word in shown]


def test_a_200_megabyte_file_is_refused_without_being_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    sparse(folder / "huge.txt", 200 * 10**6)
    monkeypatch.setattr(drafting, "content_sha256", lambda content: pytest.fail("the file was read"))
    summary = run(folder)
    assert summary.failed[0].reason == (
        "found a file of 200000000 bytes; expected at most 67108864; split it, or raise bytes_max for this run"
    )


def test_errors_of_a_load_carry_no_cause_that_shows_content(run: Run) -> None:
    def load(bytes_max: int) -> Loaded:
        raise FileTrouble("x", "y", "z")

    class One:
        identity = open_source([]).identity

        def items(self) -> Sequence[SourceItem]:
            return [SourceItem("a", load=load)]

    assert run(One()).failed[0].reason == "found x; expected y; z"
