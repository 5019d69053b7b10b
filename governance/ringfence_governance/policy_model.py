"""Return what a Casbin model file says, or everything wrong with it, each with its line.

Promise: a model is read strictly. What Casbin would skip, merge, cut off or
understand in another way (a second definition, a section it does not know, a
comment within a statement, an effect without an allow) is refused; what is left
Casbin reads as it is read here, or not at all (white space of an effect is not
compared, and Casbin may know none but its own). No file is opened, nothing is run.
"""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from . import strict_yaml
from .errors import Finding, PolicyRefused
from .policy_checks import bounded
from .policy_matcher import ROLE_FUNCTIONS, MatcherScope, read_matcher

__all__ = ["BOOLEANS", "FUNCTIONS", "MODEL_BYTES_MAX", "PolicyModel", "normalised_model", "parse_model"]

MODEL_BYTES_MAX = 64 * 1024
"""Largest `model.conf`; the shipped one has 4 KiB."""

FUNCTIONS = frozenset({"member", "reach", "purpose_ok"})
"""Functions a matcher may call beside the roles that are defined."""

BOOLEANS = frozenset({"r.sub.carried", "r.sub.known", "r.obj.labelled"})
"""Attributes that are a yes or a no by themselves."""

_KEYS = {
    "request_definition": ("r",),
    "policy_definition": ("p",),
    "role_definition": ROLE_FUNCTIONS,
    "policy_effect": ("e",),
    "matchers": ("m",),
}
_EFFECT = "some(where (p.eft == allow)) && !some(where (p.eft == deny))"
_EFFECT_TOKEN = re.compile(r"[\w.]+|&&|==|\|\||\S", re.ASCII)
_FIELD = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_REWRITTEN_FIELD = re.compile(r"[rp][0-9]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class PolicyModel:
    """A model without a finding.

    Args:
        text: Normalised: what two equal models share, and two different ones do not.
        request: Fields of a request, in order.
        policy: Fields of a rule, in order; `eft` is one of them.
        roles: Those of `g`, `g2` and `g3` that are defined, each with two names.
        matcher: One line, with `and`, `or` and `not` for Casbin's operators.
        expression: The matcher parsed; `r.sub.level` is a chain of attributes whose root is the name `r`.
    """

    text: str
    request: tuple[str, ...]
    policy: tuple[str, ...]
    roles: tuple[str, ...]
    matcher: str
    expression: ast.expr = field(compare=False, repr=False)


def parse_model(
    data: bytes | str,
    file: str,
    *,
    functions: frozenset[str] = FUNCTIONS,
    booleans: frozenset[str] = BOOLEANS,
) -> PolicyModel:
    """Return the model of a `model.conf`.

    Args:
        data: Its bytes: ASCII, `#` begins a comment line, a backslash at the end joins the next line.
        file: Its name, for the findings.
        functions: What a matcher may call beside `g`, `g2` and `g3`; each takes two values.
        booleans: Dotted names of attributes that are a yes or a no by themselves.

    Raises:
        PolicyRefused: Anything is malformed or outside the subset. Carries every finding; those of a
            statement over several lines name its first.
    """
    encoded = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    text = strict_yaml.decoded(encoded, file, MODEL_BYTES_MAX)
    return _Reading(text, file).model(functions, booleans)


def normalised_model(text: str) -> str:
    """Return the model without comments, blank lines and broken lines: what two equal models share."""
    return "\n".join(" ".join(statement.text.split()) for statement in _statements(text))


@dataclass(frozen=True, slots=True)
class _Statement:
    """What Casbin reads as one: a section's header, or a line and those its backslashes join to it.

    Args:
        first: Its first line.
        last: Its last one.
        text: Its lines without the backslashes.
        is_header: It opens a section.
        is_cut: It ends with a backslash, and no line that could be joined follows.
    """

    first: int
    last: int
    text: str
    is_header: bool = False
    is_cut: bool = False


def _statements(text: str) -> Iterator[_Statement]:
    """Split a model as Casbin does: blank lines, comments and headers end a statement, backslash or not."""
    pending: list[str] = []
    first = last = 1
    for number, line in enumerate(_lines(text), start=1):
        is_header = line.startswith("[") and line.endswith("]")
        if is_header or not line or line[0] in "#;":
            if pending:
                yield _Statement(first, last, " ".join(pending), is_cut=True)
                pending = []
            if is_header:
                yield _Statement(number, number, line, is_header=True)
            continue
        first, last = (first if pending else number), number
        pending.append(line.removesuffix("\\").strip())
        if not line.endswith("\\"):
            yield _Statement(first, last, " ".join(pending))
            pending = []
    if pending:
        yield _Statement(first, last, " ".join(pending), is_cut=True)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.replace("\r\n", "\n").split("\n")]


class _Reading:
    """One pass over one file: first its lines, then its statements, then what they define."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._findings: list[Finding] = []
        self._headers: dict[str, int] = {}
        self._keys: dict[str, int] = {}
        self._values: dict[str, tuple[int, str]] = {}
        """Of the statements that are whole; a key without one here has its finding already."""

    def model(self, functions: frozenset[str], booleans: frozenset[str]) -> PolicyModel:
        spoilt = self._spoilt_lines()
        self._read_statements(spoilt)
        if not spoilt:
            self._missing()
        request, policy = self._fields("r"), self._fields("p")
        self._rule_fields(policy)
        roles = self._roles()
        self._effect()
        matcher = self._matcher(MatcherScope(request, policy, roles, functions, booleans))
        if self._findings or request is None or policy is None or matcher is None:
            raise PolicyRefused(bounded(tuple(dict.fromkeys(self._findings)), self._file))
        return PolicyModel(normalised_model(self._text), request, policy, roles, *matcher)

    def _refuse(self, line: int, found: str, expected: str, do: str) -> None:
        self._findings.append(Finding(self._file, line, found, expected, do))

    def _spoilt_lines(self) -> frozenset[int]:
        """Refuse characters no model needs. What else such a line says is not looked at."""
        spoilt: set[int] = set()
        for number, line in enumerate(self._text.replace("\r\n", "\n").split("\n"), start=1):
            strange = next((character for character in line if not character.isascii()), None)
            if hidden := strict_yaml.hidden_character(line):
                self._refuse(number, f"the character {hidden}", "characters that can be seen", "remove it")
            elif strange is not None:
                found, do = f"the character U+{ord(strange):04X}", "write another; also in comments"
                self._refuse(number, found, "ASCII", do)
            else:
                continue
            spoilt.add(number)
        return frozenset(spoilt)

    def _read_statements(self, spoilt: frozenset[int]) -> None:
        for number, line in enumerate(_lines(self._text), start=1):
            if line.startswith(";") and number not in spoilt:
                self._refuse(number, "a line that begins with ';'", "'#' before a comment", "write '#'")
        section: str | None = ""
        for statement in _statements(self._text):
            is_whole = spoilt.isdisjoint(range(statement.first, statement.last + 1))
            if statement.is_header:
                section = self._section(statement, is_whole)
            elif section == "":
                if is_whole:
                    found, do = f"{_shown(statement.text)} outside a section", "move it beneath its section"
                    self._refuse(statement.first, found, "a section such as [matchers] first", do)
            elif section is not None:
                self._statement(section, statement, is_whole)

    def _section(self, statement: _Statement, is_whole: bool) -> str | None:
        """Return the name of a section that is known; None for another."""
        name = statement.text[1:-1]
        if name not in _KEYS:
            if is_whole:
                expected = f"one of {', '.join(f'[{known}]' for known in _KEYS)}"
                do = "Casbin skips what it does not know; correct or remove it"
                self._refuse(statement.first, f"the section {_shown(f'[{name}]')}", expected, do)
            return None
        if name in self._headers:
            found = f"the section [{name}] again, first in line {self._headers[name]}"
            self._refuse(statement.first, found, "each section once", "put them together")
        self._headers.setdefault(name, statement.first)
        return name

    def _statement(self, section: str, statement: _Statement, is_whole: bool) -> None:
        key, equals, value = (part.strip() for part in statement.text.partition("="))
        keys, line = _KEYS[section], statement.first
        if not equals or key not in keys:
            if is_whole:
                found = f"the key {_shown(key)}" if equals else f"{_shown(statement.text)} without '='"
                do = "Casbin skips it, or reads it in place of another; write one definition of each"
                self._refuse(line, f"{found} in [{section}]", f"{' or '.join(keys)} = ...", do)
            return
        if key in self._keys:
            found = f"the key {key!r} again, first in line {self._keys[key]}"
            do = "Casbin would take the last; remove one of them"
            self._refuse(line, found, "each key once", do)
            return
        self._keys[key] = line
        if statement.is_cut:
            do = "Casbin ends the statement there; remove the backslash, or the line behind it"
            self._refuse(line, f"a backslash in line {statement.last} that joins nothing", "a next line", do)
        elif "#" in statement.text:
            do = "Casbin cuts off all that follows, whatever it is; move the comment to its own line"
            self._refuse(line, "'#' within a statement", "a comment on a line of its own", do)
        elif not value and is_whole:
            self._refuse(line, f"{key!r} without a value", f"{key} = ...", "write what it means")
        elif is_whole:
            self._values[key] = (line, value)

    def _missing(self) -> None:
        for section, keys in _KEYS.items():
            if section not in self._headers:
                self._refuse(1, f"no section [{section}]", "each section once", "write it")
            elif keys[0] not in self._keys and keys != ROLE_FUNCTIONS:
                found, do = f"no {keys[0]!r} in [{section}]", "write it"
                self._refuse(self._headers[section], found, f"{keys[0]} = ...", do)

    def _fields(self, key: str) -> tuple[str, ...] | None:
        """Return the fields of a definition; None if one is malformed."""
        if key not in self._values:
            return None
        line, value = self._values[key]
        names = [name.strip() for name in value.split(",")]
        before = len(self._findings)
        for place, name in enumerate(names):
            if not _FIELD.fullmatch(name) or keyword.iskeyword(name):
                do = "separate the fields with commas and nothing else"
                self._refuse(line, f"the field {_shown(name)} in {key!r}", "a-z, then a-z, 0-9 and _", do)
            elif _REWRITTEN_FIELD.fullmatch(name):
                do = "Casbin would take it for the definition of that name; write another"
                self._refuse(line, f"the field {name!r} in {key!r}", "a name unlike r, p, r2 or p2", do)
            elif name in names[:place]:
                self._refuse(line, f"the field {name!r} twice in {key!r}", "each once", "remove one of them")
        return tuple(names) if len(self._findings) == before else None

    def _rule_fields(self, policy: tuple[str, ...] | None) -> None:
        if policy is None:
            return
        line, _ = self._values["p"]
        if "eft" not in policy:
            self._refuse(line, "no field 'eft' in 'p'", "eft", "without it every rule would be an allow")
        if "priority" in policy:
            do = "remove it: Casbin would sort the rules by it; a deny wins in any order"
            self._refuse(line, "the field 'priority' in 'p'", "rules without an order", do)

    def _roles(self) -> tuple[str, ...]:
        """Return the roles that are defined, well or badly."""
        for before, key in zip(("", *ROLE_FUNCTIONS), ROLE_FUNCTIONS, strict=False):
            if before and key in self._keys and before not in self._keys:
                do = f"Casbin stops at the first gap and would not know {key}; define {before}"
                self._refuse(self._keys[key], f"{key!r} without {before!r}", "g, then g2, then g3", do)
            if key not in self._values:
                continue
            line, value = self._values[key]
            names = [name.strip() for name in value.split(",")]
            if names == ["_", "_"]:
                continue
            if "(" in value:
                do = "conditional roles hold for ever once Casbin lost the condition; write times into rules"
            elif names == ["_", "_", "_"]:
                do = "a name holds its tenant already, and a role in a domain outlives its removal"
            else:
                do = "write two underscores"
            self._refuse(line, f"{key} = {_shown(value)}", f"{key} = _, _", do)
        return tuple(key for key in ROLE_FUNCTIONS if key in self._keys)

    def _effect(self) -> None:
        if "e" not in self._values:
            return
        line, value = self._values["e"]
        if _EFFECT_TOKEN.findall(value) != _EFFECT_TOKEN.findall(_EFFECT):
            do = (
                "write exactly that: without an allow strangers are let in, without a deny none is heard, "
                "and by priority the order of the rules decides"
            )
            self._refuse(line, f"the effect {_shown(value)}", _EFFECT, do)

    def _matcher(self, scope: MatcherScope) -> tuple[str, ast.expr] | None:
        if "m" not in self._values:
            return None
        line, value = self._values["m"]
        return read_matcher(value, scope, lambda *finding: self._refuse(line, *finding))


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:79]}\N{HORIZONTAL ELLIPSIS}")
