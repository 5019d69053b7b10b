"""Commands about policies: check the files of one, show the one a store has."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from .answers import finish, lines, report, table
from .failures import MISUSE, failure_of
from .options import AsJson, AsSubject, StorePath
from .stores import opened


def lint(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder with policy.csv and, if wanted, labels.yaml.")
    ],
    as_json: AsJson = False,
) -> None:
    """Check the files of a policy; list everything wrong, each with file and line."""
    from ringfence_governance.errors import PolicyRefused
    from ringfence_governance.policy_text import load_directory

    facts: dict[str, object] = {"valid": False, "rules": 0, "links": 0, "facts": 0, "labels": 0, "findings": []}
    try:
        bundle = load_directory(directory)
    except PolicyRefused as refused:
        report(failure_of(refused), as_json=False)
        findings = [asdict(finding) for finding in refused.findings]
        ...
    facts |= {
        "valid": True,
        "rules": len(bundle.rows.rules),
        "links": len(bundle.rows.links),
        "facts": len(bundle.rows.facts),
        "labels": len(bundle.labels),
    }
