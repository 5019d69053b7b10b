"""Make up a firm: its policy, its labels, its documents, and who asks what; then change it as it runs.

One seed makes one firm and one history of it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ringfence_governance.errors import PolicyRefused, Refused
from ringfence_governance.ingestion import Ingestion
from ringfence_governance.labels import Label, NamedLabel
from ringfence_governance.policy_changes import Reasoned
from ringfence_governance.policy_checks import check_rows
from ringfence_governance.policy_rows import PolicyRows, Row, from_fields
from ringfence_governance.subjects import Subject

from .casbin_oracle import Definition, StockCasbin
from .seeded_store import GENERIC_RULES, Clock, Page, SeededStore, bundle, passages

ADMIN, INGESTER, AUDITOR = "a/user:ada", "a/service:ing", "a/user:olga"
OTHER_ADMIN, OTHER_INGESTER = "b/user:ben", "b/service:ing"
PEOPLE = [*(f"a/user:u{n}" for n in range(4)), "a/service:bot", "b/user:w"]
AGENTS = ["a/agent:m", "a/agent:n"]
STRANGER = "a/user:ghost"
ACTORS = [*PEOPLE, *AGENTS, STRANGER, AUDITOR, ADMIN, INGESTER, "b/agent:x"]
GROUPS = ["a/group:g", "a/group:h", "a/role:r"]
NAMED = [*(f"a/label:l{n}" for n in range(4)), "b/label:l0"]
SETS = ["a/set:s", "a/set:t"]
PURPOSES = ["", "", "care", "billing", "any-care"]
WORDS = ["x", "y"]
EDGES = ["2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"]
MOMENTS = [
    "2026-01-15T08:00:00Z",
    "2026-01-31T23:59:59Z",
    "2026-02-01T00:00:00Z",
    "2026-02-20T12:30:00Z",
    "2026-03-01T00:00:00Z",
    "2026-03-31T23:59:59Z",
    "2026-04-01T00:00:00Z",
]
VOCABULARY = [
    "offer",
    "pump",
    "valve",
    "salary",
    "merger",
    "budget",
    "contract",
    "tender",
    "Meridian",
    "Orchid",
    "leak",
    "audit",
    "bonus",
]
REASON = Reasoned("a test changes it")

STANDING = (
    f"p, {ADMIN}, a, a/policy, administer, any, *, -, -, allow",
    f"p, {ADMIN}, a, *, ingest, any, *, -, -, allow",
    f"p, {INGESTER}, a, *, ingest, any, *, -, -, allow",
    f"p, {INGESTER}, a, *, read, any, *, -, -, allow",
    f"f, {INGESTER}, 9, x|y",
    f"p, {AUDITOR}, a, *, audit, any, *, -, -, allow",
    f"p, {OTHER_ADMIN}, b, b/policy, administer, any, *, -, -, allow",
    f"p, {OTHER_INGESTER}, b, *, ingest, any, *, -, -, allow",
    "g3, care, any-care",
)
"""What every firm begins with; none of it is ever taken back."""

LIKELY = (
    "p, a/agent:m, a, *, delegate, any, *, -, -, allow",
    "p, a/agent:n, a, *, delegate, any, care, -, -, allow",
    "p, a/agent:n, a, a/set:s, delegate, any, *, -, -, allow",
    "p, a/group:g, a, a/set:s, read, any, *, -, -, allow",
    "p, a/group:h, a, *, read, any, *, -, 2026-04-01T00:00:00Z, allow",
    "p, b/user:w, b, *, read, any, *, -, -, allow",
    "g, a/user:u0, a/group:g",
    "g, a/user:u1, a/group:g",
    "g, a/group:g, a/role:r",
    "g, a/user:u2, a/group:h",
    "g, a/service:bot, a/group:h",
    "g2, a/label:l0, a/set:s",
    "g2, a/label:l1, a/set:s",
    "f, a/user:u0, 2, x|y",
    "f, a/user:u1, 1, x",
    "f, a/user:u2, 2, -",
    "f, a/agent:m, 2, x|y",
    "f, a/agent:n, 1, y",
)
"""What most firms have some of, so that much is allowed; it may be taken back."""


@dataclass
class Held:
    """One document as the test knows it to be."""

    document_id: str
    path: str
    text: str
    parts: dict[str, Definition]
    own: str
    """The label it was given last; its own part."""
    ingester: str
    step: int
    """Of the run that wrote it; see :class:`SeededRandomness`."""
    parents: tuple[str, ...] = ()
    """Ids of the documents it was made from."""

    @property
    def passages(self) -> list[str]:
        return [passage for _, passage in passages(self.text)]


@dataclass
class Asker:
    """Who asks, through whom, for what."""

    chain: tuple[str, ...]
    purpose: str

    @property
    def person(self) -> str:
        return self.chain[0]

    def __str__(self) -> str:
        return f"{' via '.join(self.chain)} for {self.purpose or 'nothing in particular'}"


@dataclass
class Firm:
    """A store, and everything that is true of it, kept by the test beside it."""

    dice: random.Random
    store: SeededStore
    lines: list[str]
    labels: dict[str, Definition]
    unwanted: tuple[str, ...]
    documents: list[Held] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    numbered: int = 0
    _oracle: StockCasbin | None = None

    @classmethod
    def make(cls, folder: Path, seed: int, *, documents: int = 5, unwanted: tuple[str, ...] = ()) -> Firm:
        """Make a firm of this seed, with a store in `folder`; no row of its policy holds an unwanted text."""
        dice = random.Random(seed)
        clock = Clock(MOMENTS[0])
        labels = {name: random_definition(dice, name.split("/")[0]) for name in NAMED}
        for number in range(4):
            tenant = "b" if number == 3 else "a"
            definition = random_definition(dice, tenant)
            while definition in labels.values():
                definition = random_definition(dice, tenant)
            labels[f"{tenant}/label:~{number:032x}"] = definition
        lines = [*GENERIC_RULES, *STANDING, *(line for line in LIKELY if dice.random() < 0.7)]
        for _ in range(6):
            line = random_line(dice, lines, unwanted)
            if line and not _binds_ingest(line):
                lines.append(line)
        named = [NamedLabel(name, as_label(labels[name])) for name in NAMED]
        store = SeededStore.create(folder, bundle(lines, named, generic=False), ADMIN, seed=seed, clock=clock)
        firm = cls(dice, store, lines, labels, unwanted)
        firm.add_documents(documents, of="a")
        firm.add_documents(2, of="b")
        # Made from those before, which must be published to be read.
        firm.add_documents(3, of="a", parents=[1, 1, 2])
        return firm

    @property
    def now(self) -> str:
        return self.store.clock().strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def oracle(self) -> StockCasbin:
        if self._oracle is None:
            self._oracle = StockCasbin(self.lines)
        return self._oracle

    def readable(self, asker: Asker) -> list[Held]:
        """Return what brute force allows, by path and id."""
        allowed = [document for document in self.documents if self.may_read(asker, document)]
        return sorted(allowed, key=lambda document: (document.path, document.document_id))

    def may_read(self, asker: Asker, document: Held) -> bool:
        return self.oracle.may(asker.chain, document.parts, "read", purpose=asker.purpose, now=self.now)

    def asker(self) -> Asker:
        """Return somebody at random: mostly people, some with an agent, some nobody knows."""
        person = self.dice.choice([*PEOPLE, *PEOPLE, *AGENTS, STRANGER, AUDITOR, INGESTER])
        chain = [person]
        while self.dice.random() < 0.22 and len(chain) < 3:
            chain.append(self.dice.choice([*AGENTS, *AGENTS, "b/agent:x", "a/user:u1"]))
        return Asker(tuple(chain), self.dice.choice(PURPOSES))

    def change(self) -> str:
        """Change something at random; return what, for the message of a failure."""
        steps = [self.change_row] * 8 + [self.move_time] * 2 + [self.add_document, self.relabel, self.remove]
        return self.dice.choice(steps)()

    def change_row(self) -> str:
        removable = self.lines[len(GENERIC_RULES) + len(STANDING) :]
        if removable and self.dice.random() < 0.35:
            line = self.dice.choice(removable)
            if not self._changed(self.store.door.remove_row, line):
                return f"not removed: {line}"
            self.lines.remove(line)
            self._oracle = None
            return f"removed: {line}"
        line = random_line(self.dice, self.lines, self.unwanted)
        if line is None:
            return "nothing"
        if not self._changed(self.store.door.add_row, line):
            return f"not added: {line}"
        self.lines.append(line)
        self._oracle = None
        return f"added: {line}"

    def _changed(self, change: Callable[[Subject, Row, Reasoned], bool], line: str) -> bool:
        """Change a row. A label's sets may be refused: they can lower it, and nobody may declassify."""
        try:
            assert change(Subject(admin_of(line)), row_of(line), REASON)
        except Refused:
            assert line.startswith("g2, "), line
            return False
        return True

    def move_time(self) -> str:
        later = [moment for moment in MOMENTS if moment > self.now]
        if not later:
            return "nothing"
        self.store.clock.set(later[0])
        return f"time: {later[0]}"

    def add_document(self) -> str:
        of = self.dice.choice("aaab")
        return self.add_documents(1, of=of, parents=[0, 0, 1, 2] if of == "a" else [0])

    def add_documents(self, count: int, *, of: str, parents: Sequence[int] = (0,)) -> str:
        """Write documents in one run, perhaps made from others; each is refused exactly if Casbin says so."""
        ingester = INGESTER if of == "a" else OTHER_INGESTER
        standing = [document for document in self.documents if document.own.startswith(f"{of}/")]
        said = []
        try:
            with self.store.ingestion(ingester) as ingestion:
                for _ in range(count):
                    sample = self.dice.sample(standing, min(len(standing), self.dice.choice(parents)))
                    said.append(self._put(ingestion, ingester, of, sample))
        except Refused:
            # Whoever may ingest nothing, not even for himself, is refused before the first document.
            private = {f"{of}/label:~private": {"owner": ingester}}
            assert not self.oracle.may((ingester,), private, "ingest", now=self.now)
        return "; ".join(said)

    def _put(self, ingestion: Ingestion, ingester: str, tenant: str, parents: list[Held]) -> str:
        label_id = self.dice.choice([name for name in self.labels if name.startswith(f"{tenant}/")])
        self.numbered += 1
        path = f"{self.dice.choice(['mail', 'docs', 'hr'])}/{self.numbered}.txt"
        text = "\n\n".join(
            " ".join(self.dice.choices(VOCABULARY, k=self.dice.randint(3, 9)))
            for _ in range(self.dice.randint(1, 3))
        )
        # Told apart from every other text: equal bytes are a matter of another promise.
        page = Page(
            path,
            f"{text} number{self.numbered}",
            self._choice(label_id),
            tuple(parent.document_id for parent in parents),
        )
        parts = {label_id: self.labels[label_id]}
        permitted = self.oracle.may((ingester,), parts, "ingest", now=self.now) and all(
            self.may_read(Asker((ingester,), ""), parent) for parent in parents
        )
        try:
            document_id = ingestion.put(page.draft())
        except Refused:
            assert not permitted, f"the door refused {page} to {ingester}, Casbin does not"
            return f"refused: {path} under {label_id}"
        assert permitted, f"the door let {ingester} write {page}, Casbin does not"
        for parent in parents:
            parts |= parent.parts
        self.documents.append(
            Held(
                document_id,
                path,
                page.text,
                parts,
                label_id,
                ingester,
                self.store.randomness.step,
                page.parents,
            )
        )
        return f"wrote: {path} under {sorted(parts)}"

    def relabel(self) -> str:
        """Give a document another label; refused if that could let anybody in more."""
        if not self.documents:
            return "nothing"
        document = self.dice.choice(self.documents)
        tenant = document.own.split("/")[0]
        label_id = self.dice.choice([name for name in self.labels if name.startswith(f"{tenant}/")])
        ingester = INGESTER if tenant == "a" else OTHER_INGESTER
        try:
            with self.store.ingestion(ingester) as ingestion:
                done = ingestion.relabel(document.path, self._choice(label_id))
        except Refused:
            return f"refused: relabel {document.path} to {label_id}"
        if done:
            kept = document.parts if len(document.parts) > 1 else {}
            document.parts = {**kept, label_id: self.labels[label_id]}
            document.own = label_id
        return f"relabel {document.path} to {label_id}: {done}"

    def remove(self) -> str:
        if len(self.documents) < 5:
            return "nothing"
        document = self.dice.choice(self.documents)
        ingester = INGESTER if document.own.startswith("a/") else OTHER_INGESTER
        try:
            with self.store.ingestion(ingester) as ingestion:
                done = ingestion.remove(document.path)
        except Refused:
            return f"refused: remove {document.path}"
        if done:
            self.documents.remove(document)
            self.removed.append(document.document_id)
        return f"remove {document.path}: {done}"

    def _choice(self, label_id: str) -> str | Label:
        return as_label(self.labels[label_id]) if "~" in label_id else label_id


def as_label(definition: Definition) -> Label:
    return Label.from_mapping(dict(definition))


def random_definition(dice: random.Random, tenant: str) -> dict[str, object]:
    principals = [name for name in [*PEOPLE, *AGENTS, *GROUPS] if name.startswith(f"{tenant}/")]
    definition: dict[str, object] = {"owner": dice.choice(principals)}
    definition["readers"] = dice.choice([["*"], ["*"], dice.sample(principals, min(2, len(principals))), []])
    if dice.random() < 0.25:
        definition["denied"] = [dice.choice(principals)]
    if dice.random() < 0.25:
        definition["level"] = dice.randint(1, 2)
    if dice.random() < 0.2:
        definition["compartments"] = dice.sample(WORDS, dice.randint(1, 2))
    if dice.random() < 0.2:
        definition["purposes"] = [dice.choice(["care", "billing", "any-care"])]
    if dice.random() < 0.2:
        definition["valid_from"] = dice.choice(EDGES)
    if dice.random() < 0.2:
        definition["valid_until"] = dice.choice(EDGES[1:])
        if str(definition.get("valid_from", "")) >= str(definition["valid_until"]):
            del definition["valid_from"]
    return definition


def random_line(dice: random.Random, standing: list[str], unwanted: tuple[str, ...]) -> str | None:
    """Return one more line that a policy with the standing ones takes, or None if none was found."""
    for _ in range(60):
        line = dice.choice([_rule, _rule, _rule, _rule, _membership, _set_link, _facts])(dice)
        if line in standing or _locks_out(line) or any(text in line for text in unwanted):
            continue
        try:
            rows = PolicyRows.of([*map(row_of, standing), row_of(line)])
        except PolicyRefused:
            continue
        if not check_rows(rows, NAMED):
            return line
    return None


def _rule(dice: random.Random) -> str:
    tenant = dice.choice(["a"] * 7 + ["b"])
    of = [name for name in [*PEOPLE, *AGENTS, *GROUPS, AUDITOR] if name.startswith(f"{tenant}/")]
    objects = [name for name in [*NAMED, *SETS] if name.startswith(f"{tenant}/")]
    effect = dice.choice(["allow"] * 4 + ["deny"])
    action = dice.choice(["read"] * 6 + ["delegate"] * 4 + ["audit", "ingest"] + ["*"] * 2)
    begins, ends = dice.choice([("-", "-")] * 4 + [(EDGES[0], "-"), ("-", EDGES[1]), (EDGES[1], EDGES[2])])
    return ", ".join(
        [
            "p",
            dice.choice([*of, *of, "*"]),
            tenant,
            dice.choice(["*", *objects]),
            action,
            dice.choice(["any"] * 6 + ["owner", "reader", "denied"]),
            dice.choice(["*"] * 4 + ["care", "billing", "any-care"]),
            begins,
            ends,
            effect,
        ]
    )


def _membership(dice: random.Random) -> str:
    return f"g, {dice.choice([*PEOPLE, *AGENTS, *GROUPS])}, {dice.choice(GROUPS)}"


def _set_link(dice: random.Random) -> str:
    return f"g2, {dice.choice(NAMED)}, {dice.choice(SETS)}"


def _facts(dice: random.Random) -> str:
    words = "|".join(sorted(dice.sample(WORDS, dice.randint(0, 2)))) or "-"
    return f"f, {dice.choice([*PEOPLE, *AGENTS])}, {dice.randint(0, 3)}, {words}"


def _locks_out(line: str) -> bool:
    """Whether the line would take the administrator's own right away, so that nothing could change again."""
    kind, *fields = line.split(", ")
    return kind == "p" and fields[-1] == "deny" and fields[0] == "*" and fields[2] == "*" and fields[3] == "*"


def _binds_ingest(line: str) -> bool:
    kind, *fields = line.split(", ")
    return kind == "p" and fields[-1] == "deny" and fields[3] in ("*", "ingest")


def admin_of(line: str) -> str:
    return OTHER_ADMIN if ", b/" in line or ", b, " in line else ADMIN


def row_of(line: str) -> Row:
    return from_fields(line.split(", "))
