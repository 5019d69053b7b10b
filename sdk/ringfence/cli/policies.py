"""Commands about policies: check the files of one, show the one a store has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console

from .answers import finish, lines, table
from .failures import DONE, MISUSE, NOT_DONE
from .options import AsJson, AsSubject, StorePath
from .stores import opened

if TYPE_CHECKING:
    from ringfence_governance.errors import Finding


def lint(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder with policy.csv and, if wanted, labels.yaml.")
    ],
    as_json: AsJson = False,
) -> None:
    """Check the files of a policy; list everything wrong, each with file and line."""
    from ringfence_governance.errors import PolicyRefused
    from ringfence_governance.policy_text import load_directory

    try:
        bundle = load_directory(directory)
    except PolicyRefused as refused:
        _refuse(refused.findings, as_json=as_json)
    facts = {
        "valid": True,
        "rules": len(bundle.rows.rules),
        "links": len(bundle.rows.links),
        "facts": len(bundle.rows.facts),
        "labels": len(bundle.labels),
        "findings": [],
    }
    counts = ", ".join(f"{facts[name]} {name}" for name in ("rules", "links", "facts", "labels"))
    finish(facts, lines(f"valid: {counts}"), as_json=as_json)


def show(store: StorePath, subject: AsSubject = None, as_json: AsJson = False) -> None:
    """Show, to an administrator, the rows of his tenant's policy, and who added each."""
    with opened(store) as open_store:
        rows = list(open_store.as_user(subject).policy())

    def show_rows(out: Console) -> None:
        cells = [(row["row"], row["at"], row["who"], row["why"]) for row in rows]
        out.print(table(["row", "at", "who", "why"], cells))

    facts = {"rows": rows, "count": len(rows)}
    finish(facts, show_rows, as_json=as_json, code=DONE if rows else NOT_DONE)


def _refuse(findings: Sequence[Finding], *, as_json: bool) -> NoReturn:
    facts = {
        "valid": False,
        "rules": 0,
        "links": 0,
        "facts": 0,
        "labels": 0,
        "findings": [asdict(finding) for finding in findings],
    }
    finish(
        facts,
        lines(*map(str, findings), f"not valid: {len(findings)} findings"),
        as_json=as_json,
        code=MISUSE,
    )
