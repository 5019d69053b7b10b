"""Commands that erase documents with proof, and look at such a proof again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from .answers import finish, lines
from .failures import DONE, NOT_DONE
from .options import AsJson, AsSubject, StorePath, Ticket, Why, decoded
from .stores import opened

Canary = Annotated[
    list[str] | None,
    typer.Option(
        "--canary",
        metavar="TEXT",
        help="Text that must be in no file, of at least 6 bytes; repeatable.",
        callback=lambda texts: [decoded(text) for text in texts or ()],
    ),
]


def erase(
    store: StorePath,
    documents: Annotated[list[str], typer.Argument(metavar="DOCUMENT...", help="Ids of documents.")],
    why: Why,
    subject: AsSubject = None,
    ticket: Ticket = "",
    canary: Canary = None,
    as_json: AsJson = False,
) -> None:
    """Erase documents and all that was made from them, destroy their keys, scan, and certify."""
    with opened(store) as open_store:
        made = list(
            open_store.as_user(subject).erase(*documents, why=why, ticket=ticket, canaries=canary or ())
        )
    clean = all(certificate["clean"] for certificate in made)
    last = made[-1] if made else None
    facts = {"erased": documents, "clean": clean, "certificate": last, "certificates": made}
    shown = [line for certificate in made for line in _certificate(certificate)]
    shown = shown or ["erased before, with what they were made from"]
    finish(facts, lines(*shown), as_json=as_json, code=DONE if clean else NOT_DONE)


def verify_erasure(
    store: StorePath,
    certificate: Annotated[
        Path, typer.Argument(metavar="CERTIFICATE", help="File with the certificate, or the JSON of 'erase'.")
    ],
    subject: AsSubject = None,
    canary: Canary = None,
    as_json: AsJson = False,
) -> None:
    """Say, to an auditor, whether a certificate is genuine and what it says still holds."""
    text = _certificate_in(certificate)
    with opened(store) as open_store:
        facts = open_store.as_user(subject).verify_erasure(text, canaries=canary or ())
    shown = [f"{'holds' if claim['holds'] else 'FAILS'}  {claim['claim']}" for claim in facts["claims"]]
    finish(facts, lines(*shown), as_json=as_json, code=DONE if facts["holds"] else NOT_DONE)


def _certificate(certificate: Mapping[str, Any]) -> Iterator[str]:
    for document_id in certificate["documents"]:
        yield f"erased       {document_id}"
    looked_at = certificate.get("looked_at")
    if looked_at is not None:
        made_from = len(looked_at["documents"]) - len(certificate["documents"])
        yield f"made from it {made_from} documents, erased too"
        yield f"scanned      {len(looked_at['files'])} files, {looked_at['bytes']} bytes"
        yield from (f"FOUND        {kind} in {name}" for kind, name in looked_at["found"])
    yield f"clean        {'yes' if certificate['clean'] else 'NO: run it again'}"
    yield f"certificate  {certificate['erasure']}"
    yield f"older keys   {certificate['older_keys']}; generation: {certificate['key_generation']}"


def _certificate_in(path: Path) -> bytes | dict[str, Any]:
    """Return the certificate in a file; one that 'erase --json' printed is taken out of its answer.

    Raises:
        InvalidInput: The file cannot be read.
    """
    import json

    import ringfence
    from ringfence_governance.certificates import BYTES_MAX

    try:
        with path.open("rb") as file:
            data = file.read(BYTES_MAX + 1)
    except OSError as error:
        raise ringfence.InvalidInput(
            f"certificate: cannot read {str(path)!r} ({error.strerror}); expected a file"
        ) from None
    try:
        answer = json.loads(data)
    except (ValueError, RecursionError):
        return data
    inner = answer.get("certificate") if isinstance(answer, dict) else None
    return inner if isinstance(inner, dict) else data
