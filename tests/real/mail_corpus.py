"""Who may read each of the real mails, by plain Python over the raw files?

Promise: nothing of Ringfence is imported here. From the same facts the policy directory and the mailboxes
are written that Ringfence reads, and the sets are computed that its answers are held against.

Rules, stated once:
- A mail belongs to the list its List-Id names, else Mailing-List, else X-Mailing-List. A list is read by
  everybody who posted to it; its owner role is held by the addresses its mails were sent out by (Sender).
- A mail of no list is private: read by the addresses in From, To and Cc.
- An address becomes a principal in lower case. One of the mailbox owner's own domain is `lists/user:LOCAL`,
  any other is `lists/user:LOCAL@DOMAIN`. What then is no canonical name is dropped and counted.
- Private mails whose every address is of the own domain lie in a maildir, where Ringfence reads the headers
  itself, so their local parts count as they are written; all others come with a label of their own.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesHeaderParser
from functools import cached_property
from pathlib import Path

HOME_DOMAIN = "spamassassin.taint.org"
KEEPER = "lists/user:mailbox-keeper"
"""Owner of what no sender can own: the mailbox itself, and mails whose sender has no canonical name."""

_ADDRESS = re.compile(r"([^\s@<>\"(),:;\\\[\]]+)@([A-Za-z0-9.-]+)", re.ASCII)
_NAME = re.compile(r"[a-z0-9_][a-z0-9._@+=-]{0,126}", re.ASCII)


@dataclass(frozen=True)
class RealMail:
    """One mail and what its headers say.

    Args:
        key: Unique name, from the corpus's group and file.
        content: Its bytes, without the line an mbox puts in front.
        list_name: The list it went over, or None.
        owner: Principal it belongs to.
        people: Principals of From, To and Cc.
        at_home: Whether every address named is of the mailbox owner's domain.
    """

    key: str
    content: bytes = field(repr=False)
    list_name: str | None
    owner: str
    senders: frozenset[str]
    people: frozenset[str]
    distributors: frozenset[str]
    at_home: bool

    @property
    def path(self) -> str:
        """Its name in the source it is ingested from."""
        if self.list_name is not None:
            return f"{self.list_name}/{self.key}"
        return f"inbox/{self.key}" if self.at_home else f"{self.key}.eml"


@dataclass(frozen=True)
class MailCorpus:
    """All mails, and who may read which."""

    mails: tuple[RealMail, ...]
    refused_addresses: Counter[str]

    @cached_property
    def members(self) -> dict[str, frozenset[str]]:
        """List → everybody who posted to it."""
        return self._by_list("senders")

    @cached_property
    def owners(self) -> dict[str, frozenset[str]]:
        """List → who holds its owner role."""
        return self._by_list("distributors")

    def readers_of(self, mail: RealMail) -> frozenset[str]:
        """Return everybody who may read a mail."""
        if mail.list_name is None:
            return mail.people | {mail.owner}
        return self.members[mail.list_name] | self.owners[mail.list_name]

    @cached_property
    def readable(self) -> dict[str, frozenset[str]]:
        """Principal → paths of the mails he may read; who may read none is not in it."""
        found: dict[str, set[str]] = defaultdict(set)
        for mail in self.mails:
            for reader in self.readers_of(mail):
                found[reader].add(mail.path)
        return {reader: frozenset(paths) for reader, paths in found.items()}

    def _by_list(self, field_name: str) -> dict[str, frozenset[str]]:
        found: dict[str, set[str]] = defaultdict(set)
        for mail in self.mails:
            if mail.list_name is not None:
                found[mail.list_name] |= getattr(mail, field_name)
        return {name: frozenset(people) for name, people in found.items()}


def read_mails(folder: Path) -> MailCorpus:
    """Return the corpus in a folder of groups of `.txt` files."""
    refused: Counter[str] = Counter()
    mails = [_mail(file, refused) for file in sorted(folder.glob("*/*.txt"))]
    return MailCorpus(tuple(mails), refused)


def write_policy(corpus: MailCorpus, folder: Path) -> None:
    """Write the policy directory: a named label, a group of members and an owner role for each list."""
    folder.mkdir()
    rows = [
        "p, *, *, *, read, owner, *, -, -, allow",
        "p, *, *, *, read, reader, *, -, -, allow",
        "p, *, *, *, *, denied, *, -, -, deny",
    ]
    labels = ["labels:"]
    for name in sorted(corpus.members):
        rows += [f"g, {person}, lists/group:{name}" for person in sorted(corpus.members[name])]
        rows += [f"g, {person}, lists/role:{name}" for person in sorted(corpus.owners[name])]
        labels += [
            f"  lists/label:{name}:",
            f"    owner: lists/role:{name}",
            f"    readers: [lists/group:{name}]",
        ]
    (folder / "policy.csv").write_text("\n".join(rows) + "\n", "utf-8")
    (folder / "labels.yaml").write_text("\n".join(labels) + "\n", "utf-8")


def write_mailboxes(corpus: MailCorpus, folder: Path) -> None:
    """Write a maildir for each list and one for the private mails at home, with the rules that label them."""
    for mail in corpus.mails:
        if mail.list_name is None and not mail.at_home:
            continue
        box = folder / mail.path.rpartition("/")[0]
        for inner in ("cur", "new", "tmp"):
            (box / inner).mkdir(parents=True, exist_ok=True)
        (box / "cur" / f"{mail.key}:2,S").write_bytes(mail.content)
    rules = ["version: 1", "mail:", f"  domains: {{{HOME_DOMAIN}: lists}}", "rules:"]
    for name in sorted(corpus.members):
        rules += [f'  - glob: "{name}"', f"    label: lists/label:{name}"]
    rules += ['  - glob: "inbox"', f"    owner: {KEEPER}", "    readers: []", "    headers: readers"]
    (folder / ".ringfence.yaml").write_text("\n".join(rules) + "\n", "utf-8")


def _mail(file: Path, refused: Counter[str]) -> RealMail:
    content = re.sub(rb"\AFrom [^\n]*\n", b"", file.read_bytes())
    message = BytesHeaderParser().parsebytes(content)
    list_name = _list_name(message)
    addresses = _addresses(message, "From", "To", "Cc")
    at_home = (
        list_name is None
        and bool(addresses)
        and all(domain.lower() == HOME_DOMAIN for _, domain in addresses)
    )
    if at_home:
        people = frozenset(f"lists/user:{local}" for local, _ in addresses if _NAME.fullmatch(local))
        senders: frozenset[str] = frozenset()
    else:
        people = _principals(addresses, refused)
        senders = _principals(_addresses(message, "From"), refused)
    return RealMail(
        key=f"{file.parent.name}-{file.stem}",
        content=content,
        list_name=list_name,
        owner=min(senders, default=KEEPER),
        senders=senders,
        people=people,
        distributors=_principals(_addresses(message, "Sender"), Counter()),
        at_home=at_home,
    )


def _list_name(message: Message) -> str | None:
    """Return the list's name: an identifier such as `fork.xent.com`."""
    list_id = re.search(r"<([^<>]+)>\s*\Z", str(message.get("List-Id", "")))
    if list_id:
        return list_id[1].strip().lower()
    for header in ("Mailing-List", "X-Mailing-List"):
        address = _ADDRESS.search(str(message.get(header, "")))
        if address:
            return f"{address[1].removesuffix('-help')}.{address[2]}".lower()
    return None


def _addresses(message: Message, *headers: str) -> list[tuple[str, str]]:
    values = (str(value) for header in headers for value in message.get_all(header, []))
    return [(match[1], match[2]) for value in values for match in _ADDRESS.finditer(value)]


def _principals(addresses: list[tuple[str, str]], refused: Counter[str]) -> frozenset[str]:
    found = set()
    for local, domain in addresses:
        name = local.lower() if domain.lower() == HOME_DOMAIN else f"{local}@{domain}".lower()
        if _NAME.fullmatch(name):
            found.add(f"lists/user:{name}")
        else:
            refused[name] += 1
    return frozenset(found)
