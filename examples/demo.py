"""Show the promise kept on the files of examples/acme, from ingest to audit and two side paths.

Run by `make demo`. Makes a store below `.demo/`, with its key beside it, and
removes both before it begins again.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PLACE = HERE.parent / ".demo"
os.environ["RINGFENCE_HOME"] = str(PLACE / "keys")

import lancedb  # noqa: E402
from rich.columns import Columns  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.panel import Panel  # noqa: E402
from rich.table import Table  # noqa: E402
from rich.text import Text  # noqa: E402

import ringfence  # noqa: E402

QUESTION = "What did we offer Meridian?"
ASKERS = ("acme/user:analyst", "acme/user:mia", "acme/user:sam")
SECRET_WORDS = ("Meridian", "offer", "942,000", "salary")
EMBEDDER = os.environ.get("RINGFENCE_DEMO_EMBEDDER", "minilm")

console = Console(width=max(100, min(150, Console().width)), highlight=False)


def main() -> int:
    """Run every step; 0 if each shows what it should."""
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir()
    started = time.monotonic()
    heading("A store, its policy, and two firms' files")
    store = ringfence.create(PLACE / "team", policy=HERE / "acme" / "policy", embedder=EMBEDDER)
    console.print(
        f"store {relative(PLACE / 'team')}, master key {relative(store.key_path)} (outside the store)"
    )
    ingest(store)
    before = ask_as_three(store)
    best = before["acme/user:analyst"][0]
    explain(store, best)
    after = revoke_and_ask_again(store)
    audit(store)
    clean = side_paths(PLACE / "team")
    store.close()
    lost = {hit.document for hit in before["acme/user:analyst"]} - {hit.document for hit in after}
    console.print(f"\ndone in {time.monotonic() - started:.0f} s")
    return 0 if clean and best.document in lost else 1


def ingest(store: ringfence.Store) -> None:
    """Ingest both firms' folders, each by its own service."""
    for folder, subject in (("acme/files", "acme/user:ingester"), ("borealis", "borealis/user:ingester")):
        summary = store.ingest(HERE / folder, as_user=subject)
        console.print(
            f"{subject} ingested {folder}: {summary.added} documents, {summary.chunks} passages, "
            f"{len(summary.failed)} failed, {summary.seconds:.1f} s"
        )
        for report in summary.failed:
            console.print(f"  {report.path}: {report.reason}")


def ask_as_three(store: ringfence.Store) -> dict[str, ringfence.SearchResult]:
    """Ask one question as three people, and show the answers side by side."""
    heading(f"One question, three people: {QUESTION}")
    answers = {name: store.as_user(name).search(QUESTION, k=3) for name in ASKERS}
    console.print(Columns([panel(name, answer) for name, answer in answers.items()], equal=True, expand=True))
    return answers


def explain(store: ringfence.Store, hit: ringfence.Hit) -> None:
    """Show why the analyst may read the best hit: the rule, and the path to it."""
    heading("Why may the analyst read the first one?")
    why = store.as_user("acme/user:analyst").why(hit)
    for rule in why["rules"]:
        console.print(Text(f"{why['decision']} by   {rule['rule']}"))
        console.print(Text(f"because      {' → '.join(rule['relation'] or rule['path'])}"))


def revoke_and_ask_again(store: ringfence.Store) -> ringfence.SearchResult:
    """Take the analyst out of sales; the very next question gets another answer."""
    heading("Ada takes the analyst out of sales; the same question again")
    admin = store.as_user("acme/user:ada")
    admin.remove_member("acme/user:analyst", "acme/group:sales", why="moved to another team")
    after = store.as_user("acme/user:analyst").search(QUESTION, k=3)
    console.print(panel("acme/user:analyst", after))
    return after


def audit(store: ringfence.Store) -> None:
    """Show the auditor what was read and changed; she reads no content herself."""
    heading("What Olga, the auditor, sees of it")
    table = Table("when (UTC)", "who", "did", "outcome", "rows that left")
    for record in list(store.as_user("acme/user:olga").log())[-7:]:
        rows = ", ".join(row[:8] for row in record["rows"]) or "none"
        table.add_row(record["at"][11:19], record["subject"], record["verb"], record["outcome"], rows)
    console.print(table)


def side_paths(path: Path) -> bool:
    """Try the files below the door: plain LanceDB, and an older version through it."""
    heading("Two side paths: plain LanceDB on the folder, and an older version through it")
    database = lancedb.connect(str(path / "lance"))
    chunks = database.open_table("chunks")
    rows = chunks.to_arrow()
    console.print(f"plain LanceDB opens {rows.num_rows} rows; the first of them:")
    first = rows.slice(0, 1).to_pylist()[0]
    for column in ("id", "atom", "text", "vector", "terms"):
        value = first[column]
        console.print(Text(f"  {column:7} {value.hex()[:72] + '…' if isinstance(value, bytes) else value}"))
    oldest_with_rows = [version["version"] for version in chunks.list_versions()][1]
    chunks.checkout(oldest_with_rows)
    older = chunks.to_arrow()
    console.print(f"version {oldest_with_rows} opens {older.num_rows} rows")
    found = words_in_rows(rows) | words_in_rows(older) | words_in_files(path)
    console.print(f"words of the documents in them, or in any byte of the store: {sorted(found) or 'none'}")
    return not found


def words_in_rows(rows: object) -> set[str]:
    """Return which of the words stand in a table's values."""
    text = str(rows.to_pylist()).lower()  # type: ignore[attr-defined]
    return {word for word in SECRET_WORDS if word.lower() in text}


def words_in_files(path: Path) -> set[str]:
    """Return which of the words stand in any file below a folder."""
    found: set[str] = set()
    for file in path.rglob("*"):
        if file.is_file():
            content = file.read_bytes().lower()
            found |= {word for word in SECRET_WORDS if word.lower().encode() in content}
    return found


def panel(name: str, answer: ringfence.SearchResult) -> Panel:
    """Return an answer as a panel."""
    body = Text()
    for hit in answer:
        body.append(f"{hit.rank}. {hit.source.path}\n", style="bold")
        body.append(" ".join(hit.text.split())[:150] + "\n")
    if not answer.hits:
        body.append("nothing")
    return Panel(body, title=f"{name} ({answer.readable} readable passages)")


def heading(text: str) -> None:
    """Print a step's heading."""
    console.rule(f"[bold]{text}", align="left")


def relative(path: Path | None) -> str:
    """Return a path as seen from the repository."""
    return str(path.relative_to(HERE.parent)) if path is not None else ""


if __name__ == "__main__":
    sys.exit(main())
