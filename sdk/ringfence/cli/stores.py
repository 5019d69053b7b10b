"""Commands about a store as a whole: make one, say how it is; and open one for the other commands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from .answers import finish, lines, table
from .options import AsJson, AsSubject, Embedder, StorePath, Ticket, Why

if TYPE_CHECKING:
    from ringfence.store import Store


def opened(path: str, embedder: str | None = None, reranker: str | None = None) -> Store:
    """Open a store that is there; unlike the SDK's `open`, never make one.

    Raises:
        InvalidInput: There is no store.
        StoreError: It cannot be opened.
        KeyUnavailable: Its key cannot be used.
    """
    import ringfence
    from ringfence_governance.door import Door

    if not Door.is_store(path):
        raise ringfence.InvalidInput(
            f"store: found none at {path!r}; expected a folder made by 'ringfence init'",
            hint="check the path, or make a store there with 'ringfence init'",
        )
    return ringfence.open(path, embedder=embedder, reranker=reranker)


def init(
    store: StorePath,
    policy: Annotated[
        Path | None,
        typer.Option("--policy", metavar="DIR", help="Folder with policy.csv and, if wanted, labels.yaml."),
    ] = None,
    admin: Annotated[
        str | None,
        typer.Option(
            "--admin",
            metavar="SUBJECT",
            help="Who may ingest and administer. Without it: you, as local/user:NAME.",
        ),
    ] = None,
    catalog: Annotated[
        str | None,
        typer.Option(
            "--catalog",
            metavar="URL",
            help="A Postgres that keeps the catalog. Without it: a file in the store, or beside the keys' folder.",
        ),
    ] = None,
    keys: Annotated[
        str,
        typer.Option(
            "--keys",
            metavar="KIND",
            help="What keeps the master key: file, environment, aws-kms or aws-kms:KEY.",
        ),
    ] = "file",
    mode: Annotated[
        str,
        typer.Option(
            "--mode",
            metavar="KIND",
            help="sealed, or indexed: for a store that outgrows memory, and weaker against who has the files.",
        ),
    ] = "sealed",
    embedder: Embedder = None,
    as_json: AsJson = False,
) -> None:
    """Make a new store and its key file."""
    import ringfence
    from ringfence_governance.bucket import is_uri
    from ringfence_governance.catalog_url import shown
    from ringfence_governance.store_files import default_admin
    from ringfence_governance.store_modes import WEAKER, as_mode

    chosen = default_admin() if admin is None else admin
    with ringfence.create(
        store, policy, admin=chosen, keys=keys, catalog=catalog, mode=as_mode(mode), embedder=embedder
    ) as made:
        facts = {
            "store": store if is_uri(store) else str(Path(store).absolute()),
            "key_file": str(made.key_path),
            "admin": chosen,
            "policy": None if policy is None else str(policy.absolute()),
            "catalog": None if catalog is None else shown(catalog),
            "mode": mode,
        }
    show = lines(
        f"store     {facts['store']}",
        f"key file  {facts['key_file']}",
        f"admin     {chosen}",
        f"policy    {facts['policy'] or 'the shipped default: owners and readers read'}",
        f"catalog   {facts['catalog'] or 'a file in the store'}",
        f"mode      {WEAKER if mode == 'indexed' else mode}",
        "Keep a copy of the key file's folder, away from copies of the store: without it nothing opens.",
    )
    finish(facts, show, as_json=as_json)


def compact(store: StorePath, subject: AsSubject = None, as_json: AsJson = False) -> None:
    """Write the tables anew, rows of one label together, and remove what nobody needs any more."""
    with opened(store) as open_store:
        facts = open_store.as_user(subject).compact()
    rewritten = ", ".join(facts["rewritten"]) or "nothing"
    removed = facts["bytes_removed"]
    shown = (
        [f"rewritten  {rewritten}", f"removed    {removed} bytes"] if removed is not None else ["compacted"]
    )
    finish(facts, lines(*shown), as_json=as_json)


def calibrate(
    store: StorePath, why: Why, subject: AsSubject = None, ticket: Ticket = "", as_json: AsJson = False
) -> None:
    """Measure on this machine what decides how questions are answered, and keep it with the store."""
    with opened(store) as open_store:
        facts = open_store.as_user(subject).calibrate(why=why, ticket=ticket)
    rows = [tuple(each.values()) for each in facts["measured"]]

    def show(out: Console) -> None:
        out.print(table(["rows", "each scored outright, ms", "estimated first, ms"], rows))
        lines(f"each is scored outright up to {facts['every_row_max']} rows")(out)

    finish(facts, show, as_json=as_json)


def status(store: StorePath, subject: AsSubject = None, as_json: AsJson = False) -> None:
    """Say how a store is; numbers only to who may audit or administer it."""
    with opened(store) as open_store:
        facts = open_store.as_user(subject).status()
    flat: list[tuple[str, object]] = []
    for name, value in facts.items():
        inner = value.items() if isinstance(value, dict) else [("", value)]
        flat += [(f"{name} {key}".strip(), item) for key, item in inner]
    finish(facts, lambda out: out.print(table(["", ""], flat)), as_json=as_json)
