"""The thirty traps of Casbin for Python by number, and what their tests stand on: Casbin as it comes, and ours.

The first half of a test falls into the trap on Casbin itself, so that it tells when a release mends it. The second
half shows that a policy of ours is not caught in it.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import casbin
import pytest
from casbin.persist.adapters import FileAdapter

from ringfence_governance.errors import PolicyRefused
from ringfence_governance.labels import Label
from ringfence_governance.policy_rows import Facts, Link, PolicyRows, Rule
from ringfence_governance.policy_text import parse_policy_csv
from ringfence_governance.snapshot import Request, Snapshot
from ringfence_policies import model_text

TRAPS = {
    1: "reloading a few hundred users fails and keeps the old policy",
    2: "a reload under running readers forgets denies meanwhile",
    3: "a watcher that has died, or was never told, leaves the old policy standing",
    4: "links refused as duplicates are live",
    5: "what the adapter refuses is live",
    6: "a link within a domain, added twice, survives its removal",
    7: "a duplicate row cannot be removed",
    8: "a misspelt effect is no effect",
    9: "lines of an unknown type and behind a byte order mark are dropped",
    10: "a deny more than nine links up is ignored",
    11: "a name with a comma or a new line becomes other rows",
    12: "a database adapter removes more rows than it is told to",
    13: "a database adapter cuts long rows",
    14: "a file adapter says it has added, and has not",
    15: "text of a rule is evaluated as code",
    16: "an effect that only denies allows strangers",
    17: "an empty policy is matched against empty texts",
    18: "another model keeps the effect of the old one",
    19: "the effect of a context is never used",
    20: "a link that has expired still gives the role",
    21: "the column of priorities is ignored",
    22: "the fast enforcer misses denies on everything",
    23: "a filter drops denies for every domain, a failed one everything",
    24: "an empty name is every name",
    25: "a cleared policy keeps its links",
    26: "what is listed is not what is enforced",
    27: "a pattern matches more than it says",
    28: "another spelling of a name slips past its deny",
    29: "text within the matcher is rewritten like code",
    30: "an enforcer can be switched off, and other ways to a yes without a rule",
}

NOW, T0, T9 = "2026-03-01T00:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z"
LABEL = Label("a", "a/user:owner")

PLAIN_MODEL = """
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act, eft
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act
"""
DENY_WINS = "some(where (p.eft == allow)) && !some(where (p.eft == deny))"
ALLOW_WINS = "some(where (p.eft == allow))"


def plain(model: str = PLAIN_MODEL) -> casbin.Enforcer:
    """Return Casbin's own enforcer without a rule."""
    return casbin.Enforcer(casbin.Enforcer.new_model(text=model))


def from_file(folder: Path, text: str | bytes, model: str = PLAIN_MODEL) -> casbin.Enforcer:
    """Return Casbin's own enforcer over the rules of a file, read by its own adapter."""
    file = folder / "policy.csv"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return casbin.Enforcer(casbin.Enforcer.new_model(text=model), FileAdapter(str(file)))


def rule(sub: str = "*", **changed: str) -> Rule:
    """Return a rule that lets the subject read everything, changed as told."""
    fields = {"dom": "*", "obj": "*", "act": "read", "rel": "any", "purpose": "*", "nbf": T0, "exp": T9}
    return Rule(sub, **(fields | {"eft": "allow"} | changed))


def build(*rows: Rule | Link | Facts) -> Snapshot:
    """Return our snapshot of the rows."""
    return Snapshot.build(PolicyRows.of(rows))


def reads(held: Snapshot, actor: str, object_id: str = "a/label:x", label: Label = LABEL) -> bool:
    """Say whether the snapshot lets the actor read under the label now."""
    return held.decide(Request(actor, object_id, label, "read", "", NOW, False)).allowed


def refused(text: str | bytes) -> str:
    """Return why the text is no policy of ours."""
    with pytest.raises(PolicyRefused) as error:
        parse_policy_csv(text.encode() if isinstance(text, str) else text, "policy.csv")
    return str(error.value)


def matcher() -> ast.expr:
    """Return the syntax tree Casbin evaluates of the shipped matcher."""
    text = casbin.Enforcer.new_model(text=model_text())["m"]["m"].value
    tree = ast.parse(re.sub(r"!(?!=)", "not ", text.replace("&&", "and").replace("||", "or")), mode="eval")
    return tree.body
