"""Commands about the audit log as a whole: verify it, sign it, prove a record, keep it bounded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from .answers import finish, lines
from .failures import DONE, NOT_DONE
from .options import AsJson, AsSubject, StorePath
from .stores import opened

Witness = Annotated[
    str | None,
    typer.Option(
        "--witness",
        metavar="PLACE",
        help="A file elsewhere, or an http:// or https:// address. Without it: RINGFENCE_WITNESS, if set.",
    ),
]


def verify(
    store: StorePath,
    subject: AsSubject = None,
    witness: Witness = None,
    public_key: Annotated[
        str | None,
        typer.Option(
            "--public-key",
            metavar="HEX",
            help="Verify the files alone, by this key: for who holds no keys. The catalog is not asked.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say whether the audit log is what it was: complete, in order, unchanged."""
    if public_key is None:
        with opened(store) as open_store:
            facts = open_store.as_user(subject).verify_log(witness=witness)
    elif subject is not None:
        raise typer.BadParameter("found --as with --public-key; the files alone are verified as nobody")
    else:
        facts = _by_files(store, public_key, witness)
    finish(facts, lines(*_report(facts)), as_json=as_json, code=DONE if facts["valid"] else NOT_DONE)


def checkpoint(
    store: StorePath, subject: AsSubject = None, witness: Witness = None, as_json: AsJson = False
) -> None:
    """Sign all that was recorded so far, and hand it to the witness."""
    with opened(store) as open_store:
        facts = open_store.as_user(subject).sign_log(witness=witness)
    finish(facts, lines(*(f"{name}: {value}" for name, value in facts.items())), as_json=as_json)


def prove(
    store: StorePath,
    record: Annotated[str, typer.Argument(metavar="RECORD", help="SEGMENT:NUMBER, as the log names it.")],
    subject: AsSubject = None,
    as_json: AsJson = False,
) -> None:
    """Prove that a record was in the log when a checkpoint was signed."""
    with opened(store) as open_store:
        facts = open_store.as_user(subject).prove_record(record)
    shown = (
        f"record      {facts['record']}",
        f"digest      {facts['digest']}",
        f"checkpoint  {facts['checkpoint']['number']}, root {facts['checkpoint']['root']}",
        "the whole proof is in --json",
    )
    finish(facts, lines(*shown), as_json=as_json)


def keep(
    store: StorePath,
    subject: AsSubject = None,
    days: Annotated[
        float | None, typer.Option("--days", metavar="N", help="Remove segments older than this.")
    ] = None,
    bytes_max: Annotated[
        int | None, typer.Option("--bytes", metavar="N", help="Remove the oldest until no more is left.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Pack closed segments into Parquet, and remove old ones; what proves them stays."""
    with opened(store) as open_store:
        facts = open_store.as_user(subject).keep_log(days=days, bytes_max=bytes_max)
    finish(facts, lines(*(f"{name}: {value}" for name, value in facts.items())), as_json=as_json)


def _by_files(store: str, public_key: str, witness: str | None) -> dict[str, Any]:
    from ringfence_governance.audit_settings import settings
    from ringfence_governance.audit_verify import verify_files
    from ringfence_governance.bucket import is_uri
    from ringfence_governance.errors import InvalidInput
    from ringfence_governance.witnesses import as_witness

    if is_uri(store):
        raise InvalidInput(
            "store: found the address of a bucket, which holds no log; expected the folder that holds audit/",
            hint="name $RINGFENCE_HOME/STORE_ID.local, or leave --public-key out",
        )
    asked = as_witness(settings(witness).witness)
    held = asked.lines() if asked is not None else None
    return {**verify_files(Path(store), public_key, witnessed=held).to_mapping(), "public_key": public_key}


def _report(facts: Mapping[str, Any]) -> Iterator[str]:
    yield "valid" if facts["valid"] else f"NOT valid: {facts['findings_count']} findings"
    for each in facts["findings"]:
        where = f"segment {each['segment']}, record" if each["segment"] else "checkpoint"
        yield f"{each['kind']}: {where} {each['number']}: {each['found']}"
    yield f"records: {facts['records']}, signed: {facts['signed']}, removed: {facts['removed']}"
    yield f"checkpoint: {facts['checkpoint']}, witnessed: {facts['witnessed']}"
    yield from (f"not known: {each}" for each in facts["unknown"])
