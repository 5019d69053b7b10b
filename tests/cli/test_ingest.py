"""What `ingest` does with labels, refusals and bad files, and what it says of them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]

INGESTER, CARL, DORA, SAM = (f"acme/user:{name}" for name in ("ingester", "carl", "dora", "sam"))
HASH = ["--embedder", "hash"]


@pytest.fixture
def store(call: Call, policy_folder: Path, tmp_path: Path) -> Path:
    assert call("init", tmp_path / "store", "--policy", policy_folder, "--admin", INGESTER).code == 0
    return tmp_path / "store"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "files"
    (made / "sub").mkdir(parents=True)
    (made / "a.txt").write_text("The pump is loud.\n", "utf-8")
    (made / "sub" / "b.md").write_text("# The valve\n\nIt is quiet.\n", "utf-8")
    return made


def paths(call: Call, store: Path, subject: str, *options: str) -> set[str]:
    found = call("list", store, "--as", subject, "--json", *options).json["documents"]
    return {each["path"] for each in found}


def test_the_summary_counts_what_was_done(call: Call, store: Path, folder: Path) -> None:
    first = call("ingest", store, folder, "--as", INGESTER, *HASH, "--json")
    assert (first.code, first.err, first.json["added"], first.json["chunks"]) == (0, "", 2, 2)
    again = call("ingest", store, folder, "--as", INGESTER, *HASH, "--json")
    assert (again.code, again.json["added"], again.json["unchanged"]) == (0, 0, 2)


def test_without_a_label_a_document_is_its_ingesters_alone(call: Call, store: Path, folder: Path) -> None:
    assert call("ingest", store, folder, "--as", INGESTER, *HASH).code == 0
    assert paths(call, store, INGESTER) == {"a.txt", "sub/b.md"}
    assert paths(call, store, CARL) == set()


def test_a_label_written_out_reaches_its_readers_and_not_the_denied(
    call: Call, store: Path, folder: Path
) -> None:
    label = ["--owner", DORA, "--reader", "acme/group:sales", "--reader", SAM, "--denied", SAM]
    assert call("ingest", store, folder, "--as", INGESTER, *label, *HASH).code == 0
    assert paths(call, store, CARL) == paths(call, store, DORA) == {"a.txt", "sub/b.md"}
    assert paths(call, store, SAM) == paths(call, store, INGESTER) == set()


def test_level_compartment_and_purpose_are_needed_to_read(call: Call, store: Path, folder: Path) -> None:
    label = ["--reader", DORA, "--reader", CARL, "--level", 1, "--compartment", "payroll", "--purpose", "tax"]
    assert call("ingest", store, folder, "--as", INGESTER, *label, *HASH).code == 0
    assert paths(call, store, DORA, "--purpose", "tax") == {"a.txt", "sub/b.md"}
    assert paths(call, store, DORA) == paths(call, store, CARL, "--purpose", "tax") == set()


def test_a_named_label_is_given_by_name(call: Call, store: Path, folder: Path) -> None:
    assert call("ingest", store, folder, "--as", INGESTER, "--label", "acme/label:payroll", *HASH).code == 0
    assert paths(call, store, DORA) == {"a.txt", "sub/b.md"}


def test_include_and_exclude_choose_paths(call: Call, store: Path, folder: Path) -> None:
    (folder / "sub" / "c.txt").write_text("The gasket.\n", "utf-8")
    chosen = ["--include", "sub/**", "--exclude", "**/*.txt"]
    assert call("ingest", store, folder, "--as", INGESTER, *chosen, *HASH).code == 0
    assert paths(call, store, INGESTER) == {"sub/b.md"}


def test_several_sources_go_in_by_one_call(call: Call, store: Path, folder: Path) -> None:
    run = call("ingest", store, folder / "a.txt", folder / "sub", "--as", INGESTER, *HASH, "--json")
    assert run.json["added"] == 2


def test_a_dry_run_says_each_label_and_writes_nothing(call: Call, store: Path, folder: Path) -> None:
    (folder / "empty.txt").touch()
    label = ["--owner", DORA]
    run = call("ingest", store, folder, "--as", INGESTER, *label, *HASH, "--dry-run")
    assert run.code == 0
    assert "nothing was written; would be: 2 added" in run.out
    assert [line.split()[:2] for line in run.out.splitlines()[1:3]] == [["new", "a.txt"], ["new", "sub/b.md"]]
    assert f"owner {DORA}" in run.out
    assert "new        empty.txt" not in run.out
    planned = call("ingest", store, folder, "--as", INGESTER, *label, *HASH, "--dry-run", "--json").json
    assert planned["dry_run"] is True
    assert {"a.txt", "sub/b.md"} <= {each["path"] for each in planned["planned"]}
    assert paths(call, store, DORA) == set()


def test_what_nothing_gives_to_others_is_told_to_be_private_once(
    call: Call, store: Path, folder: Path
) -> None:
    (folder / ".ringfence.yaml").write_text(f"version: 1\nrules:\n  - {{glob: 'sub/**', owner: {DORA}}}\n")
    first = call("ingest", store, folder, "--as", INGESTER, *HASH, "--json").json["notes"]
    assert [note.partition(": ")[2].partition(":")[0] for note in first] == ["1 new, private to acme/user"]
    assert INGESTER in first[0]
    assert call("ingest", store, folder, "--as", INGESTER, *HASH, "--json").json["notes"] == []


def test_documents_of_another_language_are_found_by_their_word_stems(
    call: Call, store: Path, tmp_path: Path
) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "de.txt").write_text("Die Verträge wurden gekündigt.\n", "utf-8")

    def finds(query: str, *language: str) -> bool:
        words = ["search", store, query, "--mode", "text", "--as", INGESTER, *language, "--json"]
        return bool(call(*words).json["hits"])

    ingest = ["ingest", store, tmp_path / "files", "--as", INGESTER, *HASH]
    assert call(*ingest).code == 0
    assert not finds("Vertrag")
    run = call(*ingest, "--language", "german", "--json")
    assert (run.code, run.json["changed"]) == (0, 1)
    assert finds("Vertrag", "--language", "german")
    assert finds('"Vertrag wurde"', "--language", "german")
    assert finds("Verträgen", "--language", "german")
    assert not finds("Verträgen")
    wrong = call(*ingest, "--language", "klingon", "--json")
    assert (wrong.code, wrong.json["error"]["type"]) == (2, "InvalidInput")


def test_vanished_files_go_only_when_asked(call: Call, store: Path, folder: Path) -> None:
    assert call("ingest", store, folder, "--as", INGESTER, *HASH).code == 0
    (folder / "a.txt").unlink()
    assert call("ingest", store, folder, "--as", INGESTER, *HASH, "--json").json["removed"] == 0
    assert paths(call, store, INGESTER) == {"a.txt", "sub/b.md"}
    (folder / "sub" / "b.md").unlink()
    run = call("ingest", store, folder, "--as", INGESTER, *HASH, "--remove-vanished", "--json")
    assert (run.code, run.json["removed"]) == (0, 2)
    assert paths(call, store, INGESTER) == set()


def test_a_bad_file_is_reported_and_the_rest_goes_in(call: Call, store: Path, folder: Path) -> None:
    (folder / "bad.docx").write_bytes(b"PK\x03\x04 no archive")
    (folder / "latin.txt").write_bytes("Öl\n".encode("latin-1"))
    run = call("ingest", store, folder, "--as", INGESTER, *HASH, "--json")
    assert run.code == 0
    assert run.json["added"] == 2
    assert {each["path"] for each in run.json["failed"]} == {"bad.docx", "latin.txt"}
    shown = call("ingest", store, folder, "--as", INGESTER, *HASH)
    assert "bad.docx" in shown.out
    mended = call("ingest", store, folder, "--as", INGESTER, *HASH, "--encoding", "latin-1", "--json")
    assert {each["path"] for each in mended.json["failed"]} == {"bad.docx"}


def test_a_file_larger_than_allowed_is_reported(call: Call, store: Path, folder: Path) -> None:
    run = call("ingest", store, folder, "--as", INGESTER, *HASH, "--max-bytes", 20, "--json")
    assert (run.code, run.json["added"]) == (0, 1)
    assert [each["path"] for each in run.json["failed"]] == ["sub/b.md"]


def test_other_readers_of_a_mode_count_only_when_asked(call: Call, tmp_path: Path) -> None:
    """They count if all may enter every folder up to the file; the file's own mode always lets all read it."""
    store, folder = tmp_path / "store", Path(tempfile.mkdtemp())
    assert call("init", store, "--admin", "local/user:zoe").code == 0
    try:
        folder.chmod(0o755)
        (folder / "a.txt").write_text("The pump.\n", "utf-8")
        (folder / "a.txt").chmod(0o644)
        dry = ["ingest", store, folder, "--as", "local/user:zoe", *HASH, "--dry-run", "--json"]
        (careful,) = call(*dry).json["planned"]
        (trusting,) = call(*dry, "--trust-other").json["planned"]
    finally:
        shutil.rmtree(folder)
    is_open = all(parent.stat().st_mode & 0o001 for parent in folder.parents)
    assert "*" not in careful["label"]["readers"]
    assert ("*" in trusting["label"]["readers"]) is is_open


@pytest.mark.parametrize("subject", [CARL, "acme/user:nobody", "borealis/user:bea"])
def test_who_may_not_ingest_is_refused_and_nothing_goes_in(
    call: Call, store: Path, folder: Path, subject: str
) -> None:
    run = call("ingest", store, folder, "--as", subject, *HASH, "--json")
    assert run.code == 1
    assert run.json["error"]["type"] == "Refused"
    assert f"{subject} may not ingest here" in run.json["error"]["message"]
    assert paths(call, store, subject) == set()


def test_an_unknown_label_and_a_forbidden_one_are_one_answer(call: Call, store: Path, folder: Path) -> None:
    reasons = set()
    for name in ("payroll", "no-such-label"):
        words = ["ingest", store, folder, "--as", CARL, "--label", f"acme/label:{name}", *HASH, "--json"]
        run = call(*words)
        assert run.code == 1
        reasons.add(run.json["error"]["message"].replace(name, "NAME"))
    assert len(reasons) == 1


def test_an_empty_source_is_nothing_found(call: Call, store: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    assert call("ingest", store, tmp_path / "none", "--as", INGESTER, *HASH).code == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--label", "acme/label:Payroll"], "lower-case ASCII"),
        (["--label", "payroll"], "a label's name"),
        (["--label", "acme/label:payroll", "--level", "1"], "not both"),
        (["--label", "acme/label:payroll", "--reader", "acme/user:sam"], "not both"),
        (["--owner", "dora"], "expected a user, group, role, agent or service;"),
        (["--reader", "borealis/user:bea"], "one label never joins two tenants"),
        (["--denied", "*"], "leave readers empty"),
        (["--level", "10"], "from 0 to 9"),
        (["--level", "high"], "'--level'"),
        (["--compartment", "Pay Roll"], "compartment"),
        (["--purpose", "Tax"], "purpose"),
        (["--encoding", "no-such"], "no-such"),
        (["--max-bytes", "0"], "'--max-bytes'"),
        (["--include", "/etc/**"], "/etc/**"),
        (["--as", "Ingester"], "lower-case ASCII"),
    ],
)
def test_malformed_options_are_misuse(
    call: Call, store: Path, folder: Path, options: list[str], message: str
) -> None:
    subject = [] if "--as" in options else ["--as", INGESTER]
    run = call("ingest", store, folder, *subject, *options, *HASH, "--json")
    assert run.code == 2, run
    assert message in run.json["error"]["message"]
    assert paths(call, store, INGESTER) == set()


def test_a_source_that_is_not_there_is_misuse(call: Call, store: Path, folder: Path) -> None:
    run = call("ingest", store, folder / "nothing", "--as", INGESTER, *HASH, "--json")
    assert run.code == 2
    assert run.json["error"]["type"] == "SourceRefused"


def test_an_embedder_that_is_not_there_is_misuse(call: Call, store: Path, folder: Path) -> None:
    run = call("ingest", store, folder, "--as", INGESTER, "--embedder", "no/such/model", "--json")
    assert (run.code, run.json["error"]["type"]) == (2, "EmbedderUnavailable")
