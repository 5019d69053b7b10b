"""Each command under `--json` prints one object, with the keys docs/cli.md says, in that order."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from ringfence.cli import app
from ringfence_governance import audit_export
from ringfence_governance.key_file import keys_home

Call = Callable[..., Any]

REPO = Path(__file__).resolve().parents[2]
HEADING = re.compile(
    r"^## `ringfence ((?:audit |keys |label |lineage |member |policy )?[a-z-]+).*$", re.MULTILINE
)
KEYS = re.compile(r"^JSON keys([^:]*): (.*?)(?:\n\n|\Z)", re.MULTILINE | re.DOTALL)
INGESTER, ADMIN, AUDITOR, CARL = (f"acme/user:{name}" for name in ("ingester", "ada", "olga", "carl"))

# command, and what makes it another object -> the words after it; STORE, OFFER, FOLDER, POLICY, NEW stand for places
RUNS = {
    ("init", ""): ["NEW", "--admin", INGESTER],
    ("ingest", ""): ["STORE", "FOLDER", "--as", INGESTER],
    ("search", ""): ["STORE", "pump", "--as", CARL],
    ("context", ""): ["STORE", "pump", "--as", CARL],
    ("answer", ""): ["STORE", "ANSWER", "--from", "OFFER", "--as", CARL],
    ("list", ""): ["STORE", "--as", CARL],
    ("why", ""): ["STORE", "OFFER", "--as", CARL],
    ("why", " with `--by`"): ["STORE", "OFFER", "--as", CARL, "--by", AUDITOR],
    ("why", " with `--by` and `--at`"): [
        *("STORE", "OFFER", "--as", CARL, "--by", AUDITOR, "--at", "2026-01-01T00:00:00Z")
    ],
    ("who", ""): ["STORE", "OFFER", "--as", AUDITOR],
    ("who", " with `--at`"): ["STORE", "OFFER", "--as", AUDITOR, "--at", "2026-01-01T00:00:00Z"],
    ("what", ""): ["STORE", "--as", CARL],
    ("what", " with `SUBJECT`"): ["STORE", CARL, "--as", AUDITOR],
    ("what", " with `SUBJECT` and `--at`"): ["STORE", CARL, "--as", AUDITOR, "--at", "2026-01-01T00:00:00Z"],
    ("grant", ""): ["STORE", CARL, "read", "acme/label:cases", "--as", ADMIN, "--why", "x"],
    ("revoke", ""): ["STORE", CARL, "read", "acme/label:cases", "--as", ADMIN, "--why", "x"],
    ("member add", ""): ["STORE", CARL, "acme/group:x", "--as", ADMIN, "--why", "x"],
    ("member remove", ""): ["STORE", CARL, "acme/group:x", "--as", ADMIN, "--why", "x"],
    ("label define", ""): [
        "STORE",
        "acme/label:new",
        "--owner",
        CARL,
        "--as",
        ADMIN,
        "--why",
        "x",
    ],
    ("label redefine", ""): [
        "STORE",
        "acme/label:payroll",
        "--file",
        "POLICY/labels.yaml",
        "--as",
        ADMIN,
        "--why",
        "x",
    ],
    ("label expire", ""): ["STORE", "acme/label:cases", "--as", ADMIN, "--why", "x"],
    ("label list", ""): ["STORE", "--as", ADMIN],
    ("label history", ""): ["STORE", "acme/label:cases", "--as", AUDITOR],
    ("keys rotate", ""): ["STORE", "--as", ADMIN, "--why", "x"],
    ("keys status", ""): ["STORE", "--as", ADMIN],
    ("policy lint", ""): ["POLICY"],
    ("policy test", ""): ["POLICY"],
    ("policy diff", ""): ["STORE", "POLICY", "--as", ADMIN],
    ("policy apply", ""): ["STORE", "POLICY", "--as", ADMIN, "--why", "x"],
    ("policy show", ""): ["STORE", "--as", ADMIN],
    ("relabel", ""): ["STORE", "OFFER", "acme/label:payroll", "--as", INGESTER, "--why", "x"],
    ("erase", ""): ["STORE", "OFFER", "--as", INGESTER, "--why", "x"],
    ("verify-erasure", ""): ["STORE", "CERTIFICATE", "--as", AUDITOR],
    ("compact", ""): ["STORE", "--as", ADMIN],
    ("calibrate", ""): ["STORE", "--as", ADMIN, "--why", "x"],
    ("audit verify", ""): ["STORE", "--as", AUDITOR],
    ("audit checkpoint", ""): ["STORE", "--as", AUDITOR],
    ("audit prove", ""): ["STORE", "RECORD", "--as", AUDITOR],
    ("audit keep", ""): ["STORE", "--as", ADMIN],
    ("audit sql", ""): ["STORE", "FROM runs()", "--as", AUDITOR],
    ("audit shell", ""): ["STORE", "--as", AUDITOR],
    ("audit export", ""): ["STORE", "EXPORT", "--as", AUDITOR],
    ("audit check", ""): ["EXPORTED", "--public-key", "0" * 64],
    ("explore", ""): ["STORE", "--as", AUDITOR],
    ("log", ""): ["STORE", "--as", AUDITOR],
    ("lineage show", ""): ["STORE", "OFFER", "--as", CARL],
    ("lineage flush", ""): ["STORE", "--as", ADMIN],
    ("status", ""): ["STORE", "--as", ADMIN],
}


def documented() -> dict[tuple[str, str], list[str]]:
    """Command and what makes it another object -> the keys its section names."""
    _, *parts = HEADING.split((REPO / "docs" / "cli.md").read_text("utf-8"))
    sections = zip(parts[::2], parts[1::2], strict=True)
    return {
        (command, which): top_level(text)
        for command, section in sections
        for which, text in KEYS.findall(section)
    }


def top_level(text: str) -> list[str]:
    """Return the names in a sentence of keys; what stands in braces or brackets describes their values."""
    plain = re.sub(r"\([^()]*\)", "", text).partition(". Each ")[0]
    return re.findall(r"`([a-z_]+)`", plain)


@pytest.fixture
def places(
    call: Call,
    own_firm: Path,
    offer: str,
    sources: dict[str, Path],
    policy_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    # Keys of its own: what is erased under shared keys is erased from every copy that is opened.
    monkeypatch.setenv("RINGFENCE_HOME", str(shutil.copytree(keys_home(), tmp_path / "home")))
    certificate = tmp_path / "certificate.json"
    certificate.write_text(
        json.dumps({"store": "", "erasure": "", "documents": [], "signature": ""}), "utf-8"
    )
    answer = tmp_path / "answer.md"
    answer.write_text("A fixed price.", "utf-8")
    # The label a document is given in these runs lets others in than the one it has.
    call("grant", own_firm, INGESTER, "declassify", "*", "--as", ADMIN, "--why", "x")
    record = json.loads(next((own_firm / "audit").glob("*.jsonl")).read_text("utf-8").splitlines()[0])
    call("audit", "checkpoint", own_firm, "--as", AUDITOR)
    return {
        "ANSWER": answer,
        "CERTIFICATE": certificate,
        "RECORD": f"{record['segment']}:{record['number']}",
        "STORE": own_firm,
        "OFFER": offer,
        "FOLDER": sources["sales"],
        "POLICY": policy_folder,
        "POLICY/labels.yaml": policy_folder / "labels.yaml",
        "NEW": tmp_path / "new",
        "EXPORT": tmp_path / "export.duckdb",
        "EXPORTED": exported(tmp_path / "exported.duckdb"),
    }


def exported(file: Path) -> Path:
    """A file and a statement about it that nobody signed."""
    file.write_bytes(b"")
    audit_export.statement_of(file).write_text(json.dumps(dict.fromkeys(audit_export.FIELDS, "")), "utf-8")
    return file


def commands(group: Any, path: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        yield from commands(command, f"{name} ") if hasattr(command, "commands") else [path + name]


@pytest.mark.parametrize("run", RUNS, ids=" ".join)
def test_the_object_has_the_documented_keys_in_their_order(
    run: tuple[str, str], call: Call, places: dict[str, object]
) -> None:
    command, _ = run
    done = call(*command.split(), *(places.get(word, word) for word in RUNS[run]), "--json")
    assert done.err == ""
    assert list(done.json) == documented()[run]


@pytest.mark.parametrize("command", [run[0] for run in RUNS])
def test_misuse_is_one_object_too(command: str, call: Call) -> None:
    run = call(*command.split(), "--no-such-option", "--json")
    assert run.code == 2
    assert list(run.json) == ["error"]
    assert list(run.json["error"]) == ["type", "message", "hint"]
    assert run.json["error"]["hint"].startswith(f"see 'ringfence {command} --help'")


def test_every_command_is_run_here() -> None:
    assert set(commands(typer.main.get_command(app))) == {command for command, _ in RUNS}
