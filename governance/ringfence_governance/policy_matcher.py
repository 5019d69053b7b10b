"""Say whether a matcher is a plain yes-or-no expression that Casbin reads as it stands.

Promise: what is not known to mean the same to Casbin is refused. Casbin replaces
text without looking where it stands: `r.` and `p.`, `&&`, `||` and `!` also within
a literal, everything behind `#`. Beneath, any Python expression would be evaluated
and any text taken for a yes. Here only comparisons, declared functions and declared
flags are left, joined by and, or and not.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass

NESTING_MAX = 50
"""Expressions within each other; the shipped matcher needs six."""

ROLE_FUNCTIONS = ("g", "g2", "g3")
"""Functions that exist if `role_definition` defines them."""

Fault = tuple[str, str, str]
"""What was found, what was expected and what to do."""

Refuse = Callable[[str, str, str], None]
"""Takes a fault."""

_TOKEN = re.compile(
    r"""(?P<space>\s+) | (?P<literal>"[^"]*"|'[^']*') | (?P<word>[A-Za-z_]\w*) | (?P<number>\.?\d[\w.]*)
    | (?P<joint>&&|\|\|) | (?P<comparison>[!=<>]=) | (?P<negation>!) | (?P<other>.)""",
    re.ASCII | re.VERBOSE,
)
_REPLACED = {"&&": " and ", "||": " or ", "!": "not "}
_WORDLIKE = frozenset({"literal", "word", "number", "joint"})
_INTEGER = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)
_REWRITTEN = re.compile(r"\b[rp][0-9]*\.|&&|\|\||!|\beval\(", re.ASCII)
"""What Casbin would replace, also within a literal."""
_PATTERN_FUNCTION = re.compile(r"(?:key(?:Match|Get)|regexMatch|globMatch|ipMatch|timeMatch)[0-9]*", re.ASCII)

_SHOWN_MAX = 80
"""Characters of a matcher quoted in a finding."""

_COMPARISONS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn)
_ARGUMENTS = 2
_CONSTRUCTS: dict[type[ast.expr], str] = {
    ast.Lambda: "a lambda",
    ast.ListComp: "a comprehension",
    ast.SetComp: "a comprehension",
    ast.DictComp: "a comprehension",
    ast.GeneratorExp: "a comprehension",
    ast.Subscript: "a subscript",
    ast.NamedExpr: "an assignment",
    ast.IfExp: "an if within the expression",
    ast.BinOp: "arithmetic",
    ast.UnaryOp: "arithmetic",
    ast.Tuple: "more than one expression",
    ast.List: "a list",
    ast.Set: "a set",
    ast.Dict: "a mapping",
}


@dataclass(frozen=True, slots=True)
class MatcherScope:
    """What a matcher may name.

    Args:
        request: Fields of a request; None where they are not known, and names beneath `r` not compared.
        policy: Fields of a rule; None likewise.
        roles: Those of `g`, `g2` and `g3` that are defined.
        functions: Further functions. Each function takes two values.
        booleans: Dotted names that are a yes or a no by themselves.
    """

    request: tuple[str, ...] | None
    policy: tuple[str, ...] | None
    roles: tuple[str, ...]
    functions: frozenset[str]
    booleans: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


def read_matcher(text: str, scope: MatcherScope, refuse: Refuse) -> tuple[str, ast.expr] | None:
    """Return the matcher in Python's operators, on one line, and its expression.

    Args:
        text: The value of `m`, its broken lines joined.
        scope: What it may name.
        refuse: Told everything wrong with it. Then the result is not to be used.

    Returns:
        None where it could not be read at all.
    """
    matcher = _in_python(text, refuse)
    if matcher is None:
        return None
    try:
        expression = ast.parse(matcher, mode="eval").body
    except SyntaxError as error:
        refuse(f"a matcher that does not parse ({error.msg})", "one expression", "mend the matcher")
        return None
    except (ValueError, RecursionError, MemoryError) as error:
        refuse(f"a matcher that does not parse ({type(error).__name__})", "one expression", "make it shorter")
        return None
    _Check(matcher, scope, refuse).yes_or_no(expression)
    return matcher, expression


def _in_python(text: str, refuse: Refuse) -> str | None:
    """Replace Casbin's operators outside of literals; None if the signs themselves are not understood."""
    pieces: list[str] = []
    understood = True
    before = _Token("space", "")
    gap = ""
    for match in _TOKEN.finditer(text):
        token = _Token(str(match.lastgroup), match.group())
        pieces.append(_REPLACED.get(token.text, token.text))
        if token.kind == "space":
            gap = token.text
            continue
        if fault := _malformed(token) or _joined(before, gap, token):
            understood = False
            refuse(*fault)
        if token.kind == "literal":
            _check_literal(token.text, refuse)
        before, gap = token, ""
    return " ".join("".join(pieces).split()) if understood else None


def _malformed(token: _Token) -> Fault | None:
    if token.kind == "other" and token.text in "\"'":
        return f"the quote {token.text} without another", "a literal that ends", "close the literal"
    if token.kind == "number" and not _INTEGER.fullmatch(token.text):
        return f"the number {_quoted(token.text)}", "a whole decimal number", "write digits only"
    if "\\" in token.text:
        return "a backslash within a line", "none but at the end of a line", "write the character itself"
    return None


def _joined(before: _Token, gap: str, token: _Token) -> Fault | None:
    """Say what Casbin would make one word of, or Python one literal."""
    shown, shown_before = _quoted(token.text), _quoted(before.text)
    if before.kind == token.kind == "literal":
        found = f"{shown_before} and {shown} side by side"
        return found, "an operator between them", "Python would join them; write one literal"
    if gap or before.kind not in _WORDLIKE or token.kind not in {*_WORDLIKE, "negation"}:
        return None
    if before.kind == "word" and token.kind == "literal":
        do = "f-strings, bytes and raw strings are no part of a matcher; write the literal alone"
        return f"the prefix {shown_before} of {shown}", "a plain literal", do
    do = "Casbin writes the operator as a word and joins the two; write a space"
    return f"{shown_before} next to {shown}", "a space between them", do


def _check_literal(shown: str, refuse: Refuse) -> None:
    if found := _REWRITTEN.search(shown[1:-1]):
        do = "Casbin rewrites it there as if it were code; write another text"
        refuse(f"{_quoted(found.group())} within the literal {_quoted(shown)}", "a text without it", do)
    if any(character.isspace() for character in shown):
        do = "no name holds one, and Casbin changes those around a broken line"
        refuse(f"white space in the literal {_quoted(shown)}", "a text without white space", do)


class _Check:
    """One walk over one matcher. Whatever has no branch of its own is refused."""

    def __init__(self, matcher: str, scope: MatcherScope, refuse: Refuse) -> None:
        self._matcher = matcher
        self._fields = {"r": scope.request, "p": scope.policy}
        self._scope = scope
        self._refuse = refuse

    def yes_or_no(self, node: ast.expr, depth: int = 1) -> None:
        if depth > NESTING_MAX:
            self._refuse("a deeper nesting", f"at most {NESTING_MAX} within each other", "make it flatter")
        elif isinstance(node, ast.BoolOp):
            for operand in node.values:
                self.yes_or_no(operand, depth + 1)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            self.yes_or_no(node.operand, depth + 1)
        elif isinstance(node, ast.Compare):
            self._comparison(node)
        elif isinstance(node, ast.Call):
            self._call(node)
        elif isinstance(node, ast.Attribute) and self._source(node) in self._scope.booleans:
            self._attribute(node)
        elif isinstance(node, ast.Attribute | ast.Constant):
            do = "compare it: any text but an empty one, and any number but 0, would be taken for a yes"
            self._refuse(f"{self._shown(node)} by itself", "a yes or a no", do)
            if isinstance(node, ast.Attribute):
                self._attribute(node)
        else:
            self._outside(node)

    def _comparison(self, node: ast.Compare) -> None:
        sides = [node.left, *node.comparators]
        if len(node.ops) > 1:
            do = "write two comparisons with && between them"
            self._refuse(f"the chain {self._shown(node)}", "one comparison of two values", do)
        elif not isinstance(node.ops[0], _COMPARISONS):
            self._refuse(f"the comparison {self._shown(node)}", "==, !=, <, <=, >, >= or in", "write ==")
        elif isinstance(node.ops[0], ast.In | ast.NotIn) and _is_text(sides[1]):
            do = "'in' a text is true for every piece of it; write =="
            self._refuse(f"'in' before {self._shown(sides[1])}", "a set, such as r.obj.purposes", do)
        self._values(node, sides)

    def _call(self, node: ast.Call) -> None:
        if fault := self._call_fault(node):
            self._refuse(*fault)
        self._values(node, [*node.args, *(keyword.value for keyword in node.keywords)])

    def _call_fault(self, node: ast.Call) -> Fault | None:
        if not isinstance(node.func, ast.Name):
            do = "a value's own methods are not the matcher's; write a comparison"
            return f"the method call {self._shown(node)}", "a call of a declared function", do
        if refusal := self._undeclared(node.func.id):
            return f"a call of {_quoted(node.func.id)}", *refusal
        if len(node.args) != _ARGUMENTS or node.keywords:
            do = "name the two values, without keywords"
            return f"the arguments of {self._shown(node)}", f"{_ARGUMENTS} values", do
        return None

    def _undeclared(self, name: str) -> tuple[str, str] | None:
        declared = sorted({*self._scope.functions, *self._scope.roles})
        expected = f"one of {', '.join(declared)}"
        if name == "eval":
            return expected, "a rule's text would be run as code; write the condition into the matcher"
        if _PATTERN_FUNCTION.fullmatch(name):
            return expected, "patterns match more than they say, or ask the clock; name sets with g2"
        if name in ROLE_FUNCTIONS and name not in self._scope.roles:
            return expected, f"define {name} = _, _ in [role_definition]"
        return None if name in declared else (expected, "call none but the declared functions")

    def _values(self, node: ast.expr, values: list[ast.expr]) -> None:
        if values and all(isinstance(value, ast.Constant) for value in values):
            do = "its answer is always the same; compare a field of r or p"
            self._refuse(f"{self._shown(node)}, which reads nothing", "a field of r or p", do)
        for value in values:
            self._value(value)

    def _value(self, node: ast.expr) -> None:
        if isinstance(node, ast.Attribute):
            self._attribute(node)
        elif not (isinstance(node, ast.Constant) and type(node.value) in {str, int}):
            self._outside(node)

    def _attribute(self, node: ast.Attribute) -> None:
        root, names = _chain(node)
        shown = self._source(node)
        if not isinstance(root, ast.Name) or root.id not in self._fields:
            self._outside(root)
            return
        dotted = ".".join((root.id, *names))
        fields = self._fields[root.id]
        if shown != dotted:
            do = f"Casbin sees {root.id}. only where the two stand together, outside of parentheses"
            self._refuse(_quoted(shown), f"{dotted} in one piece", do)
        elif fields is not None and names[0] not in fields:
            expected, do = f"a field of {root.id}: {', '.join(fields)}", "name a field of the definition"
            self._refuse(_quoted(f"{root.id}.{names[0]}"), expected, do)
        elif len(names) > (2 if root.id == "r" else 1):
            expected = "r.FIELD.ATTRIBUTE" if root.id == "r" else "p.FIELD: a rule's fields are texts"
            self._refuse(_quoted(shown), expected, "leave out what follows")
        elif names[-1].startswith("_"):
            self._refuse(_quoted(shown), "a name without _ before it", "Casbin does not read private names")

    def _outside(self, node: ast.expr) -> None:
        """Refuse what may not stand here, by its name."""
        expected, do = "comparisons and declared functions", "write it with &&, || and !"
        negates = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
        if isinstance(node, ast.Name):
            found = f"the name {_quoted(node.id)}"
            expected, do = "a field of r or p", "write r.FIELD or p.FIELD"
        elif isinstance(node, ast.Constant):
            found, expected = f"the constant {self._shown(node)}", "a field, a text or a whole number"
        elif isinstance(node, ast.Call) and (fault := self._call_fault(node)):
            found, expected, do = fault
        elif negates or isinstance(node, ast.BoolOp | ast.Compare | ast.Call):
            found = f"{self._shown(node)} in place of a value"
        else:
            found = f"{_CONSTRUCTS.get(type(node), 'an expression of Python')}, {self._shown(node)}"
        self._refuse(found, expected, do)

    def _source(self, node: ast.expr) -> str:
        return self._matcher[node.col_offset : node.end_col_offset]

    def _shown(self, node: ast.expr) -> str:
        return _quoted(self._source(node))


def _chain(node: ast.Attribute) -> tuple[ast.expr, list[str]]:
    """Return what stands at the root, and the names behind it."""
    names: list[str] = []
    root: ast.expr = node
    while isinstance(root, ast.Attribute):
        names.append(root.attr)
        root = root.value
    return root, names[::-1]


def _is_text(node: ast.expr) -> bool:
    """Say whether it can be no set: a literal, a rule's field, or a plain field of a request."""
    if not isinstance(node, ast.Attribute):
        return isinstance(node, ast.Constant)
    root, names = _chain(node)
    return len(names) == 1 or (isinstance(root, ast.Name) and root.id == "p")


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_MAX else f"{text[: _SHOWN_MAX - 1]}\N{HORIZONTAL ELLIPSIS}")
