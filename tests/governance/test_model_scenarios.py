"""What the shipped model means, one sentence for each case, decided by Casbin over a whole policy.

Every case is also put to a plain `casbin.Enforcer` that this file builds from
model.conf with functions of its own, pair by pair over Casbin's `has_link`.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

import casbin
import pytest

from ringfence_governance.authority import allowed, allowed_on_policy
from ringfence_governance.label_table import LabelTable
from ringfence_governance.labels import Label, LabelEntry
from ringfence_governance.policy_rows import ACTIONS, to_fields
from ringfence_governance.policy_text import parse_policy_csv
from ringfence_governance.snapshot import Request, Snapshot
from ringfence_governance.subjects import Subject
from ringfence_policies import model_text

NOW = "2026-11-15T12:00:00Z"

POLICY = """
p, *, *, *, read, owner, *, -, -, allow
p, *, *, *, read, reader, *, -, -, allow
p, *, *, *, *, denied, *, -, -, deny

p, acme/role:support, acme, acme/set:kb, read, any, support, -, -, allow
p, acme/role:ingester, acme, *, ingest, any, *, -, -, allow
p, acme/role:ingester, acme, *, relabel_from, any, *, -, -, allow
p, acme/role:ingester, acme, acme/set:kb, relabel_to, any, *, -, -, allow
p, acme/role:declassifier, acme, *, declassify, any, *, -, -, allow
p, acme/role:auditor, acme, *, audit, any, *, -, -, allow
p, acme/role:admin, acme, acme/policy, administer, any, *, -, -, allow
p, acme/role:chief, acme, *, read, any, *, -, -, allow
p, acme/role:chief, acme, *, administer, any, *, -, -, allow
p, acme/user:carol, acme, acme/label:report, read, any, *, 2026-11-01T00:00:00Z, 2026-12-01T00:00:00Z, allow
p, acme/role:contractor, acme, acme/set:payments, *, any, *, -, -, deny
p, acme/user:barred, acme, *, *, any, *, -, -, deny
p, acme/user:barred, acme, acme/policy, administer, any, *, -, -, allow
p, *, acme, acme/label:news, read, any, *, -, -, allow
p, acme/user:fred, acme, acme/set:payments, read, any, security, -, -, allow
p, acme/user:fred, acme, acme/label:kb-1, read, any, marketing, -, -, deny
p, acme/user:fred, acme, acme/label:kb-1, read, any, *, -, -, allow
p, acme/user:dave, acme, acme/set:secret, delete, owner, *, -, -, allow

p, acme/agent:helper, acme, acme/set:kb, delegate, any, support, -, -, allow
p, acme/agent:all, acme, *, delegate, any, *, -, -, allow
p, acme/agent:editor, acme, acme/policy, delegate, any, *, -, -, allow
p, acme/agent:reader, acme, acme/set:kb, read, any, *, -, -, allow
p, acme/agent:tamed, acme, *, delegate, any, *, -, -, allow
p, acme/agent:tamed, acme, acme/label:kb-2, delegate, any, *, -, -, deny
p, acme/agent:tamed, acme, acme/label:kb-1, read, any, *, -, -, deny

g, acme/user:alice, acme/group:helpdesk
g, acme/group:helpdesk, acme/role:support
g, acme/user:bob, acme/role:support
g, acme/user:bob, acme/role:contractor
g, acme/user:ian, acme/role:ingester
g, acme/user:aud, acme/role:auditor
g, acme/user:adm, acme/role:admin
g, acme/user:chief, acme/role:chief
g, acme/user:dec, acme/role:declassifier
g, acme/user:gina, acme/group:finance
g, acme/agent:all, acme/group:bots

g2, acme/label:kb-1, acme/set:kb
g2, acme/label:kb-2, acme/set:kb
g2, acme/label:pay-1, acme/set:kb
g2, acme/label:pay-1, acme/set:payments
g2, acme/label:secret, acme/set:secret

g3, fraud, security

f, acme/user:chief, 2, hr
f, acme/user:dave, 2, hr|legal
f, acme/user:gina, 1, -
f, acme/agent:all, 1, -
f, other/user:alice, 9, hr
"""

ACTORS = [
    "user:alice", "user:bob", "user:ian", "user:aud", "user:adm", "user:chief", "user:dec", "user:gina",
    "user:carol", "user:fred", "user:dave", "user:barred", "user:eve", "user:boss", "user:stranger",
    "agent:helper", "agent:all", "agent:editor", "agent:reader", "agent:tamed",
]  # fmt: skip

BOSS, DAVE = "acme/user:boss", "acme/user:dave"


def label(owner: str = BOSS, readers: tuple[str, ...] = (), **fields: object) -> Label:
    values = {"owner": owner, "readers": list(readers), **fields}
    return Label.from_mapping(values)


LABELS = {
    "acme/label:kb-1": label(),
    "acme/label:kb-2": label(),
    "acme/label:pay-1": label(),
    "acme/label:report": label(),
    "acme/label:news": label(),
    "acme/label:private": label(owner="acme/user:eve"),
    "acme/label:group-owned": label(owner="acme/group:finance"),
    "acme/label:shared": label(readers=("acme/user:stranger", "acme/group:finance", "acme/agent:all")),
    "acme/label:all-hands": label(readers=("*",)),
    "acme/label:all-but": label(readers=("*",), denied=["acme/group:finance"]),
    "acme/label:no-bots": label(owner="acme/user:eve", denied=["acme/group:bots"]),
    "acme/label:own-but-denied": label(owner=DAVE, denied=[DAVE]),
    "acme/label:above": label(owner="acme/user:eve", level=1),
    "acme/label:level-3": label(level=3),
    "acme/label:secret": label(owner=DAVE, level=2, compartments=["hr"]),
    "acme/label:level-1": label(readers=("*",), level=1),
    "acme/label:level-2-hr": label(readers=("*",), level=2, compartments=["hr"]),
    "acme/label:hr": label(readers=("*",), compartments=["hr"]),
    "acme/label:hr-legal": label(readers=("*",), compartments=["hr", "legal"]),
    "acme/label:for-security": label(readers=("*",), purposes=["security"]),
    "acme/label:expired": label(readers=("*",), valid_until=NOW),
    "acme/label:begins-now": label(readers=("*",), valid_from=NOW),
    "acme/label:not-yet": label(readers=("*",), valid_from="2026-11-15T12:00:01Z"),
    "other/label:theirs": label(owner="other/user:alice", readers=("*",)),
    "acme/label:~0123456789abcdef0123456789abcdef": label(owner="acme/user:eve"),
}


@dataclass(frozen=True)
class Ask:
    """Who asks, and how; the object is a label's name within acme, `policy`, or a whole id."""

    who: str
    what: str
    does: str = "read"
    via: tuple[str, ...] = ()
    purpose: str = ""
    now: str = field(default=NOW)

    @property
    def subject(self) -> Subject:
        full = [name if "/" in name else f"acme/{name}" for name in (self.who, *self.via)]
        return Subject(full[0], tuple(full[1:]), self.purpose)

    @property
    def object_id(self) -> str:
        if "/" in self.what:
            return self.what
        return "acme/policy" if self.what == "policy" else f"acme/label:{self.what}"


YES = [
    (
        "a group in a role in a rule on a set, with the rule's purpose",
        Ask("user:alice", "kb-1", purpose="support"),
    ),
    ("an owner reads what he owns", Ask("user:eve", "private")),
    ("an owner the policy does not know reads what he owns", Ask("user:boss", "kb-1")),
    ("an anonymous label is read by its owner", Ask("user:eve", "~0123456789abcdef0123456789abcdef")),
    ("a member of the group that owns it reads", Ask("user:gina", "group-owned")),
    ("a reader by name whom the policy does not know", Ask("user:stranger", "shared")),
    ("a reader by group", Ask("user:gina", "shared")),
    ("readers * is everybody the policy knows in the tenant", Ask("user:carol", "all-hands")),
    ("readers * holds for one known by facts only", Ask("user:dave", "all-hands")),
    ("a rule for everybody holds for whom the policy knows", Ask("user:carol", "news")),
    ("clearance equal to the level", Ask("user:gina", "level-1")),
    ("clearance above the level and all compartments", Ask("user:dave", "hr-legal")),
    ("level and compartment together", Ask("user:chief", "level-2-hr")),
    ("the purpose the label names", Ask("user:carol", "for-security", purpose="security")),
    ("a narrower purpose than the label names", Ask("user:carol", "for-security", purpose="fraud")),
    ("a narrower purpose than the rule names", Ask("user:fred", "pay-1", purpose="fraud")),
    ("a deny for one purpose leaves the others", Ask("user:fred", "kb-1", purpose="support")),
    ("a grant holds from its first second", Ask("user:carol", "report", now="2026-11-01T00:00:00Z")),
    (
        "a grant holds until the second before its end",
        Ask("user:carol", "report", now="2026-11-30T23:59:59Z"),
    ),
    ("a label is valid from its first second", Ask("user:carol", "begins-now")),
    ("the ingester puts under a level he has no clearance for", Ask("user:ian", "secret", "ingest")),
    ("what is no longer valid can still be put under", Ask("user:ian", "expired", "ingest")),
    ("what is not valid yet can be put under already", Ask("user:ian", "not-yet", "ingest")),
    ("what is no longer valid can still be audited", Ask("user:aud", "expired", "audit")),
    ("the ingester puts under any level", Ask("user:ian", "level-1", "ingest")),
    ("the ingester puts under a purpose he does not state", Ask("user:ian", "for-security", "ingest")),
    ("relabelling away", Ask("user:ian", "secret", "relabel_from")),
    ("relabelling to a label of the set", Ask("user:ian", "kb-1", "relabel_to")),
    ("declassifying needs no clearance", Ask("user:dec", "secret", "declassify")),
    ("auditing needs no clearance", Ask("user:aud", "level-2-hr", "audit")),
    ("an owner deletes where a rule says owners do", Ask("user:dave", "secret", "delete")),
    ("the administrator administers the policy", Ask("user:adm", "policy", "administer")),
    ("a rule on every object holds for the policy", Ask("user:aud", "policy", "audit")),
    ("a rule to administer every object holds for the policy", Ask("user:chief", "policy", "administer")),
    ("an agent that has a read rule reads by itself", Ask("agent:reader", "kb-1")),
    (
        "an agent carries what its delegate rule says and its person may read",
        Ask("user:alice", "kb-1", via=("agent:helper",), purpose="support"),
    ),
    ("an agent carries what its person owns", Ask("user:eve", "private", via=("agent:all",))),
    (
        "a second agent carries what all of them may",
        Ask("user:alice", "kb-1", via=("agent:helper", "agent:all"), purpose="support"),
    ),
    ("an agent with the clearance carries a levelled label", Ask("user:gina", "level-1", via=("agent:all",))),
    (
        "carrying another action than reading asks no clearance",
        Ask("user:ian", "secret", "ingest", ("agent:all",)),
    ),
    (
        "an agent reaches the policy if its rule names it",
        Ask("user:adm", "policy", "administer", ("agent:editor",)),
    ),
    (
        "a deny on one label leaves an agent the others",
        Ask("user:fred", "pay-1", via=("agent:all",), purpose="fraud"),
    ),
]

NO = [
    ("nobody, about nothing he is named for", Ask("user:nobody", "kb-1", purpose="support")),
    ("the rule's purpose is not stated", Ask("user:alice", "kb-1")),
    ("another purpose than the rule's", Ask("user:alice", "kb-1", purpose="marketing")),
    ("a broader purpose than the rule's", Ask("user:fred", "pay-1", purpose="support")),
    ("no rule, no owner, no reader", Ask("user:carol", "private")),
    ("an anonymous label of somebody else", Ask("user:carol", "~0123456789abcdef0123456789abcdef")),
    ("not in the group that owns it", Ask("user:carol", "group-owned")),
    ("readers * is not whom the policy does not know", Ask("user:stranger", "all-hands")),
    ("readers * is not an unknown agent", Ask("agent:unknown", "all-hands")),
    ("a rule for everybody is not for whom the policy does not know", Ask("user:stranger", "news")),
    ("denied by group wins over readers *", Ask("user:gina", "all-but")),
    ("denied wins over owning", Ask("user:dave", "own-but-denied")),
    ("one role's deny wins over another's allow", Ask("user:bob", "pay-1", purpose="support")),
    ("a deny for one purpose holds for it", Ask("user:fred", "kb-1", purpose="marketing")),
    ("clearance below the level", Ask("user:carol", "level-1")),
    ("an owner without the clearance", Ask("user:eve", "above")),
    ("a compartment is missing", Ask("user:chief", "hr-legal")),
    ("no compartment at all", Ask("user:gina", "hr")),
    ("a rule on every label does not override the level", Ask("user:chief", "level-3")),
    ("a rule on every label does not override the compartments", Ask("user:chief", "hr-legal")),
    ("a rule on every label does not override the purposes", Ask("user:chief", "for-security")),
    ("the label's purpose is not stated", Ask("user:carol", "for-security")),
    (
        "a broader purpose than the label's is not enough",
        Ask("user:carol", "for-security", purpose="support"),
    ),
    ("a grant has not begun", Ask("user:carol", "report", now="2026-10-31T23:59:59Z")),
    ("a grant ends with its first second after", Ask("user:carol", "report", now="2026-12-01T00:00:00Z")),
    ("a label ends with the second it names", Ask("user:carol", "expired")),
    ("a label is not valid yet", Ask("user:carol", "not-yet")),
    ("a subject of another tenant", Ask("other/user:alice", "all-hands")),
    ("the clearance of another tenant", Ask("other/user:alice", "level-1")),
    ("the same name in another tenant owns nothing here", Ask("other/user:eve", "private")),
    ("readers * of another tenant", Ask("user:carol", "other/label:theirs")),
    ("a rule on every label stays in its tenant", Ask("user:chief", "other/label:theirs")),
    ("reading is not auditing", Ask("user:eve", "private", "audit")),
    ("auditing is not reading", Ask("user:aud", "private")),
    ("administering is not reading", Ask("user:adm", "private")),
    ("ingesting is not reading", Ask("user:ian", "private")),
    ("owning is not deleting without a rule", Ask("user:eve", "private", "delete")),
    ("relabelling to outside the set", Ask("user:ian", "private", "relabel_to")),
    ("administering acme is not administering another", Ask("user:adm", "other/policy", "administer")),
    ("an administrator of nothing", Ask("user:alice", "policy", "administer")),
    ("reading every label is not reading the policy's actions", Ask("user:aud", "policy", "administer")),
    ("a deny on everything holds for the policy too", Ask("user:barred", "policy", "administer")),
    ("a deny on everything", Ask("user:barred", "all-hands")),
    ("nobody asks to delegate", Ask("agent:all", "kb-1", "delegate")),
    ("nobody asks for every action", Ask("user:chief", "kb-1", "*")),
    ("an agent with a delegate rule reads nothing by itself", Ask("agent:helper", "kb-1", purpose="support")),
    ("an agent with a delegate rule on everything reads nothing by itself", Ask("agent:all", "kb-1")),
    ("an agent carries nothing its person may not", Ask("user:carol", "kb-1", via=("agent:all",))),
    ("an agent with a read rule only carries nothing", Ask("user:eve", "private", via=("agent:reader",))),
    ("an agent that is a reader carries nothing by that", Ask("user:eve", "shared", via=("agent:all",))),
    ("an agent carries nothing outside its rule", Ask("user:eve", "private", via=("agent:helper",))),
    ("an agent's rule has a purpose", Ask("user:boss", "kb-1", via=("agent:helper",))),
    ("an unknown agent carries nothing", Ask("user:eve", "private", via=("agent:unknown",))),
    ("an agent the label denies", Ask("user:eve", "no-bots", via=("agent:all",))),
    ("an agent without the clearance", Ask("user:dave", "secret", via=("agent:all",))),
    ("an agent without the compartment", Ask("user:dave", "hr", via=("agent:all",))),
    ("a deny of delegation", Ask("user:boss", "kb-2", via=("agent:tamed",))),
    ("a deny of reading holds for who carries", Ask("user:boss", "kb-1", via=("agent:tamed",))),
    ("one agent of the chain may not", Ask("user:eve", "private", via=("agent:all", "agent:helper"))),
    ("an agent of another tenant", Ask("user:eve", "private", via=("other/agent:all",))),
    ("the person himself is no carrier", Ask("user:eve", "private", via=("user:eve",))),
    (
        "an agent reaches the policy only if its rule names it",
        Ask("user:adm", "policy", "administer", ("agent:all",)),
    ),
]

CASES = [pytest.param(ask, True, id=name) for name, ask in YES] + [
    pytest.param(ask, False, id=name) for name, ask in NO
]


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    return Snapshot.build(parse_policy_csv(POLICY.encode(), "policy.csv"))


@pytest.fixture(scope="module")
def table() -> LabelTable:
    entries = {atom: LabelEntry(atom, *item) for atom, item in enumerate(LABELS.items(), start=1)}
    return LabelTable(1, entries)


@pytest.mark.parametrize(("ask", "answer"), CASES)
def test_the_policy_answers(ask: Ask, answer: bool, snapshot: Snapshot, table: LabelTable) -> None:
    if ask.object_id in LABELS:
        entry = table.by_id[ask.object_id]
        assert allowed(snapshot, ask.subject, entry, table, ask.does, ask.now) is answer
    else:
        tenant = ask.object_id.partition("/")[0]
        assert allowed_on_policy(snapshot, ask.subject, tenant, ask.does, ask.now) is answer


@pytest.mark.parametrize(("ask", "answer"), CASES)
def test_a_plain_casbin_enforcer_answers_the_same(ask: Ask, answer: bool, stock: Stock) -> None:
    answers = [
        stock.enforce(
            Request(
                actor, ask.object_id, LABELS.get(ask.object_id), ask.does, ask.purpose, ask.now, place > 0
            )
        )
        for place, actor in enumerate(ask.subject.chain)
    ]
    assert all(answers) is answer


def test_a_plain_casbin_enforcer_answers_the_same_to_anybody_about_anything(
    snapshot: Snapshot, stock: Stock
) -> None:
    dice = random.Random(20261115)
    actors = [f"acme/{name}" for name in ACTORS] + ["other/user:alice"]
    objects = [*LABELS, "acme/policy", "other/policy"]
    answers = Counter[bool]()
    for _ in range(600):
        object_id = dice.choice(objects)
        request = Request(
            dice.choice(actors),
            object_id,
            LABELS.get(object_id),
            dice.choice(["read", "read", "read", *sorted(ACTIONS)]),
            dice.choice(["", "support", "security", "fraud"]),
            dice.choice([NOW, NOW, "2026-12-01T00:00:00Z"]),
            dice.random() < 0.3,
        )
        answer = snapshot.decide(request).allowed
        assert answer is stock.enforce(request), request
        answers[answer] += 1
    assert answers[True] > 40


def test_there_are_as_many_cases_as_the_model_was_first_tried_with() -> None:
    assert len(CASES) >= 32
    assert len({case.id for case in CASES}) == len(CASES)


def test_every_rule_of_the_policy_decides_some_case(snapshot: Snapshot) -> None:
    """A rule whose removal changes no answer would be tested by nothing."""
    used = set()
    for case in CASES:
        ask = case.values[0]
        assert isinstance(ask, Ask)
        for place, actor in enumerate(ask.subject.chain):
            request = Request(
                actor, ask.object_id, LABELS.get(ask.object_id), ask.does, ask.purpose, ask.now, place > 0
            )
            used |= set(snapshot.matching(request))
    assert set(snapshot.rows.rules) == used


class Things:
    """A request's object with any attributes."""

    def __init__(self, **values: object) -> None:
        self.__dict__.update(values)


class Stock:
    """Casbin as it comes: its own enforcer, `add_policy`, `g` links, and functions over `has_link`."""

    def __init__(self, text: str) -> None:
        self.enforcer = casbin.Enforcer(casbin.Enforcer.new_model(text=model_text()))
        self.facts: dict[str, tuple[int, frozenset[str]]] = {}
        self.known: set[str] = set()
        rows = parse_policy_csv(text.encode(), "policy.csv")
        for rule in rows.rules:
            line = [
                rule.sub,
                rule.dom,
                rule.obj,
                rule.act,
                rule.rel,
                rule.purpose,
                rule.nbf,
                rule.exp,
                rule.eft,
            ]
            self.enforcer.add_policy(*line)
            self.known.add(rule.sub)
        for link in rows.links:
            self.enforcer.add_named_grouping_policy(link.kind, link.child, link.parent)
            self.known |= {link.child} if link.kind == "g" else set()
        for facts in rows.facts:
            _, principal, level, compartments = to_fields(facts)
            names = frozenset() if compartments == "-" else frozenset(compartments.split("|"))
            self.facts[principal] = (int(level), names)
            self.known.add(principal)
        has = {kind: self.enforcer.get_named_role_manager(kind).has_link for kind in ("g", "g3")}
        self.enforcer.add_function("member", lambda who, name: name != "" and has["g"](who, name))
        self.enforcer.add_function("reach", lambda who, names: any(has["g"](who, name) for name in names))
        self.enforcer.add_function(
            "purpose_ok", lambda what, names: any(has["g3"](what, name) for name in names)
        )

    def enforce(self, request: Request) -> bool:
        level, compartments = self.facts.get(request.actor, (0, frozenset()))
        subject = Things(
            principals=request.actor,
            level=level,
            comps=compartments,
            known=request.actor in self.known,
            carried=request.carried,
        )
        of = request.object_id.partition("/")[0]
        found = request.label or Label(of, f"{of}/user:nobody")
        thing = Things(
            id=request.object_id,
            dom=found.tenant,
            nbf=found.valid_from,
            exp=found.valid_until,
            level=found.level,
            comps=found.compartments,
            purposes=found.purposes,
            owner=found.owner if request.label else "",
            readers=found.readers,
            denied=found.denied,
            labelled=request.label is not None,
        )
        context = Things(now=request.now, purpose=request.purpose)
        tenant = request.actor.partition("/")[0]
        return bool(self.enforcer.enforce(subject, tenant, thing, request.action, context))


@pytest.fixture(scope="module")
def stock() -> Stock:
    return Stock(POLICY)
