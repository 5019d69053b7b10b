"""The command line: every command of `ringfence`, and how it is called.

Promise: `ringfence --help` loads no engine and no model; what a command needs
is imported when it runs. docs/cli.md describes each command and option.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ringfence import __version__

from . import (
    applying,
    asking,
    auditing,
    changing,
    erasing,
    explaining,
    exploring,
    ingesting,
    keys,
    labels,
    lineage,
    policies,
    prompting,
    reading,
    stores,
)
from .entry import PROGRAM, ReportingGroup

__all__ = ["app", "main"]

_EPILOG = (
    "Exit codes: 0 done, 1 refused or nothing found, 2 misuse. Every command is described in docs/cli.md."
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{PROGRAM} {__version__}")
        raise typer.Exit


app = typer.Typer(
    name=PROGRAM,
    cls=ReportingGroup,
    help="Governed retrieval: every reader gets only what the policy grants, enforced down to the vectors.",
    epilog=_EPILOG,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Say the version and leave."),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


member = typer.Typer(help="Put principals into groups and roles, and take them out.")
policy = typer.Typer(help="Check a policy's files; run its tests; apply them; show a store's policy.")
audit = typer.Typer(
    help="Ask in SQL as an auditor; verify the audit log, sign it, prove a record of it, keep it bounded."
)
label = typer.Typer(help="Define named labels, give them another meaning, let them expire; list them.")
events = typer.Typer(help="Say what came from what; send the events of runs that wait for a backend.")
master_keys = typer.Typer(help="Rotate a store's master key; say which generations there are.")

app.command("init")(stores.init)
app.command("ingest")(ingesting.ingest)
app.command("search")(reading.search)
app.command("context")(prompting.context)
app.command("answer")(prompting.answer)
app.command("list")(reading.list_documents)
app.command("why")(explaining.why)
app.command("who")(explaining.who)
app.command("what")(explaining.what)
app.command("grant")(changing.grant)
app.command("revoke")(changing.revoke)
app.add_typer(member, name="member")
member.command("add")(changing.add_member)
member.command("remove")(changing.remove_member)
app.add_typer(policy, name="policy")
policy.command("lint")(policies.lint)
policy.command("test")(policies.run_tests)
policy.command("diff")(applying.diff)
policy.command("apply")(applying.apply)
policy.command("show")(policies.show)
app.add_typer(label, name="label")
label.command("define")(labels.define)
label.command("redefine")(labels.redefine)
label.command("expire")(labels.expire)
label.command("list")(labels.list_labels)
label.command("history")(labels.history)
app.command("relabel")(changing.relabel)
app.command("erase")(erasing.erase)
app.command("verify-erasure")(erasing.verify_erasure)
app.command("compact")(stores.compact)
app.command("calibrate")(stores.calibrate)
app.add_typer(master_keys, name="keys")
master_keys.command("rotate")(keys.rotate)
master_keys.command("status")(keys.status)
app.command("log")(explaining.log)
app.add_typer(audit, name="audit")
audit.command("verify")(auditing.verify)
audit.command("checkpoint")(auditing.checkpoint)
audit.command("prove")(auditing.prove)
audit.command("keep")(auditing.keep)
audit.command("sql")(asking.sql)
audit.command("shell")(asking.shell)
audit.command("export")(asking.export)
audit.command("check")(asking.check)
app.command("explore")(exploring.explore)
app.add_typer(events, name="lineage")
events.command("show")(lineage.show)
events.command("flush")(lineage.flush)
app.command("status")(stores.status)


def main() -> None:
    """Run the command line with this process's arguments, and exit."""
    for stream in (sys.stdout, sys.stderr):
        # A name the locale cannot write is shown escaped; it never stops an answer halfway.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    typer.main.get_command(app).main(prog_name=PROGRAM)
