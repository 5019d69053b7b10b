"""A model file is read strictly, and what is let in Casbin reads in the same way.

Where Casbin understands something else than is written, a test first shows that on Casbin itself.
"""

from __future__ import annotations

import ast
import random
import re
import warnings
from dataclasses import FrozenInstanceError

import casbin
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence_governance.errors import Finding, PolicyRefused
from ringfence_governance.policy_matcher import NESTING_MAX
from ringfence_governance.policy_model import (
    MODEL_BYTES_MAX,
    PolicyModel,
    normalised_model,
    parse_model,
)
from ringfence_policies import model_text

MODEL = """\
[request_definition]
r = sub, dom, obj, act, ctx
[policy_definition]
p = sub, dom, obj, act, eft
[role_definition]
g = _, _
g2 = _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = r.act == p.act
"""
MATCHER = 11
"""The line of `m`."""


def model(text: str = MODEL) -> PolicyModel:
    return parse_model(text, "model.conf")


def matching(matcher: str) -> str:
    return MODEL.replace("r.act == p.act", matcher)


def findings(data: str | bytes) -> tuple[Finding, ...]:
    with pytest.raises(PolicyRefused) as refused:
        parse_model(data, "model.conf")
    return refused.value.findings


def found(data: str | bytes) -> list[tuple[int, str]]:
    return [(finding.line, finding.found) for finding in findings(data)]


def one(data: str | bytes) -> Finding:
    found = findings(data)
    assert len(found) == 1, found
    return found[0]


class _Dotted(ast.NodeTransformer):
    """Casbin's `r_sub` and `p_act` as `r.sub` and `p.act`."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        root, _, field = node.id.partition("_")
        return (
            ast.Attribute(ast.Name(root, ast.Load()), field, ast.Load()) if field and root in "rp" else node
        )


def as_casbin_reads(text: str) -> tuple[object, ...]:
    read = casbin.Enforcer.new_model(text=text)
    expression = casbin.Enforcer._get_expression(read["m"]["m"].value).ast_parsed_value
    request, policy = (
        tuple(token.removeprefix(f"{key}_") for token in read[key][key].tokens) for key in ("r", "p")
    )
    roles = tuple(read["g"]) if "g" in read.keys() else ()  # noqa: SIM118  (Casbin's model is no mapping)
    return request, policy, roles, ast.dump(_Dotted().visit(expression))


def as_read_here(read: PolicyModel) -> tuple[object, ...]:
    # `purpose_ok` looks like a field of p to the transformation above, on either side alike.
    return read.request, read.policy, read.roles, ast.dump(_Dotted().visit(read.expression))


def test_the_shipped_model_is_read_without_a_finding() -> None:
    read = model(model_text())
    assert read.request == ("sub", "dom", "obj", "act", "ctx")
    assert read.policy == ("sub", "dom", "obj", "act", "rel", "purpose", "nbf", "exp", "eft")
    assert read.roles == ("g", "g2", "g3")
    assert read.text == normalised_model(model_text())
    assert read.matcher.startswith('r.act != "delegate" and ((p.act == r.act and (not r.sub.carried or ')
    assert ast.dump(read.expression) == ast.dump(ast.parse(read.matcher, mode="eval").body)


def test_casbin_reads_the_shipped_model_in_the_same_way() -> None:
    assert as_read_here(model(model_text())) == as_casbin_reads(model_text())


def test_a_field_of_a_request_is_a_chain_of_attributes() -> None:
    read = model(matching("r.obj.level <= r.sub.level")).expression
    assert isinstance(read, ast.Compare)
    level = read.comparators[0]
    assert isinstance(level, ast.Attribute)
    assert isinstance(level.value, ast.Attribute)
    assert isinstance(level.value.value, ast.Name)
    assert (level.value.value.id, level.value.attr, level.attr) == ("r", "sub", "level")


def test_bytes_windows_line_ends_and_comments_make_no_difference() -> None:
    assert parse_model(MODEL.encode(), "x") == model()
    assert model(MODEL.replace("\n", "\r\n")) == model()
    assert (
        model("# a comment, with [brackets] and = \\\n\n" + MODEL.replace("\n", "  \n\n  # more\n"))
        == model()
    )
    assert model(matching("r.act \\\n  == \\\n\tp.act")) == model()


def test_a_model_never_changes() -> None:
    with pytest.raises(FrozenInstanceError):
        model().matcher = "True"  # type: ignore[misc]


def test_two_models_are_equal_if_their_text_is() -> None:
    assert model() == model()
    assert hash(model()) == hash(model())
    assert model(matching("r.act != p.act")) != model()


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("r.act == p.act && !r.sub.known", "r.act == p.act and not r.sub.known"),
        ("(r.sub.known)&&(r.sub.carried)|| !(r.obj.labelled)", None),
        ("!!r.sub.known", "not not r.sub.known"),
        ("r.act != p.act || r.act == 'a-b/c:d'", "r.act != p.act or r.act == 'a-b/c:d'"),
        ('"*" in r.obj.purposes && p.sub not in r.obj.denied', None),
        ('member(r.sub.principals, p.sub) and g2(r.obj.id, "acme/set:s")', None),
        ("r.obj.level <= 3", None),
        ('p.eft == "deny" || r.ctx.purpose == ""', None),
    ],
)
def test_a_matcher_of_the_subset_is_read_as_casbin_reads_it(written: str, read: str | None) -> None:
    text = matching(written)
    assert read is None or model(text).matcher == read
    assert as_read_here(model(text)) == as_casbin_reads(text)


@pytest.mark.parametrize(
    ("change", "line", "says"),
    [
        (("[matchers]", "[matcher]"), 10, "the section '[matcher]'"),
        (("[matchers]", "[Matchers]"), 10, "the section '[Matchers]'"),
        (("[matchers]", "[ matchers ]"), 10, "the section '[ matchers ]'"),
        (("[matchers]", "[]"), 10, "the section '[]'"),
        (
            ("[policy_effect]", "[matchers]\n[policy_effect]"),
            11,
            "the section [matchers] again, first in line 8",
        ),
        (("r = ", "p = "), 2, "the key 'p' in [request_definition]"),
        (("p = ", "p2 = "), 4, "the key 'p2' in [policy_definition]"),
        (("e = ", "e2 = "), 9, "the key 'e2' in [policy_effect]"),
        (("m = ", "m2 = "), 11, "the key 'm2' in [matchers]"),
        (("m = ", "M = "), 11, "the key 'M' in [matchers]"),
        (("m = ", "= "), 11, "the key '' in [matchers]"),
        (("m = ", "[m = "), 11, "the key '[m' in [matchers]"),
        (("m = ", "m == "), 11, "does not parse"),
        (("m = r.act == p.act", "m"), 11, "'m' without '=' in [matchers]"),
        (("m = r.act == p.act", "m ="), 11, "'m' without a value"),
        (("g2 = ", "g3 = "), 7, "'g3' without 'g2'"),
        (("g2 = ", "g4 = "), 7, "the key 'g4' in [role_definition]"),
        (("g2 = ", "g = "), 7, "the key 'g' again, first in line 6"),
        (("m = ", "m = r.sub.known\nm = "), 12, "the key 'm' again, first in line 11"),
        (("[request_definition]", "x = y\n[request_definition]"), 1, "'x = y' outside a section"),
        (("r = sub, dom", "r = sub, Dom"), 2, "the field 'Dom' in 'r'"),
        (("r = sub, dom", "r = sub dom"), 2, "the field 'sub dom' in 'r'"),
        (("r = sub, dom", "r = sub,, dom"), 2, "the field '' in 'r'"),
        (("r = sub, dom", "r = sub, r.dom"), 2, "the field 'r.dom' in 'r'"),
        (("r = sub, dom", "r = sub, in"), 2, "the field 'in' in 'r'"),
        (("r = sub, dom", "r = sub, p2"), 2, "the field 'p2' in 'r'"),
        (("r = sub, dom", "r = sub, sub"), 2, "the field 'sub' twice in 'r'"),
        (("dom, obj, act, eft", "act, act, eft"), 4, "the field 'act' twice in 'p'"),
        ((", eft", ""), 4, "no field 'eft' in 'p'"),
        ((", eft", ", priority, eft"), 4, "the field 'priority' in 'p'"),
        (("g2 = _, _", "g2 = _"), 7, "g2 = '_'"),
        (("g2 = _, _", "g2 = _, x"), 7, "g2 = '_, x'"),
        (("g2 = _, _", "g2 = _, _, _"), 7, "g2 = '_, _, _'"),
        (("g2 = _, _", "g2 = _, _, (_, _)"), 7, "g2 = '_, _, (_, _)'"),
        (("m = ", "; m = true\nm = "), 11, "a line that begins with ';'"),
        (("act, ctx", "act, ctx # five"), 2, "'#' within a statement"),
        (("r.act ==", "r.act # why \\\n =="), 11, "'#' within a statement"),
        (("r.act == p.act", "r.act == p.act \\"), 11, "a backslash in line 11 that joins nothing"),
        (("g2 = _, _", "g2 = \\\n_, _\\\n"), 7, "a backslash in line 8 that joins nothing"),
        (("g2 = _, _", "g2 = _, _ \\"), 7, "a backslash in line 7 that joins nothing"),
    ],
)
def test_what_is_no_model_is_refused_with_its_line(change: tuple[str, str], line: int, says: str) -> None:
    assert change[0] in MODEL
    refused = findings(MODEL.replace(*change))
    assert any(finding.line == line and says in finding.found for finding in refused), refused


@pytest.mark.parametrize(
    "section", ["request_definition", "policy_definition", "role_definition", "policy_effect", "matchers"]
)
def test_each_section_must_be_there(section: str) -> None:
    text = re.sub(rf"\[{section}\]\n([^\[].*\n)+", "", MODEL)
    assert (1, f"no section [{section}]") in found(text)


@pytest.mark.parametrize(
    ("key", "line", "section"),
    [
        ("r", 1, "request_definition"),
        ("p", 3, "policy_definition"),
        ("e", 8, "policy_effect"),
        ("m", 10, "matchers"),
    ],
)
def test_each_section_but_that_of_roles_must_say_something(key: str, line: int, section: str) -> None:
    text = re.sub(rf"^{key} = .*\n", "", MODEL, flags=re.MULTILINE)
    assert found(text) == [(line, f"no {key!r} in [{section}]")]


def test_a_model_may_have_no_roles() -> None:
    assert model(MODEL.replace("g = _, _\ng2 = _, _\n", "")).roles == ()


@pytest.mark.parametrize(
    "effect",
    [
        "some(where (p.eft == allow))",
        "!some(where (p.eft == deny))",
        "priority(p.eft) || deny",
        "subjectPriority(p.eft) || deny",
        "some(where (p.eft == allow)) && some(where (p.eft == deny))",
        "some(where (p.eft == allow)) || !some(where (p.eft == deny))",
        "!some(where (p.eft == deny)) && some(where (p.eft == allow))",
        "some(where (p.eft == Allow)) && !some(where (p.eft == deny))",
        "some(where (p.eft == allow)) && !some(where (p.eft == de ny))",
        "some(where (p.eft == allow)) && !some(where (p.eft == deny)) && true",
    ],
)
def test_any_effect_but_deny_override_with_default_deny_is_refused(effect: str) -> None:
    refused = one(re.sub("e = .*", f"e = {effect}", MODEL))
    assert (refused.line, refused.found) == (9, f"the effect {effect!r}")
    assert "without an allow strangers are let in" in refused.do
    assert "by priority" in refused.do


def test_white_space_of_an_effect_is_not_compared() -> None:
    model(MODEL.replace("some(where (p.eft == allow)) &&", "some ( where(p.eft==allow) )\\\n&&"))


PATTERNS = ["keyMatch", "keyMatch5", "keyGet2", "regexMatch", "globMatch", "ipMatch", "timeMatch"]


@pytest.mark.parametrize(
    ("matcher", "says"),
    [
        ("eval(p.sub)", "a call of 'eval'"),
        ("eval(p.sub) == p.act", "a call of 'eval'"),
        *((f"{name}(r.act, p.act)", f"a call of '{name}'") for name in PATTERNS),
        ("g3(r.act, p.act)", "a call of 'g3'"),
        ("g4(r.act, p.act)", "a call of 'g4'"),
        ("str(r.act) == p.act", "a call of 'str'"),
        ("member(r.act)", "the arguments of 'member(r.act)'"),
        ("g(r.act, p.act, r.dom)", "the arguments of 'g(r.act, p.act, r.dom)'"),
        ("member(r.act, x=p.act)", "the arguments of 'member(r.act, x=p.act)'"),
        ("member(*r.act, p.act)", "an expression of Python, '*r.act'"),
        ("member(r.act == p.act, p.act)", "'r.act == p.act' in place of a value"),
        ("member(!r.sub.known, p.act)", "'not r.sub.known' in place of a value"),
        ("member(r.act, p.act) == p.act", "'member(r.act, p.act)' in place of a value"),
        ("r.act.upper() == p.act", "the method call 'r.act.upper()'"),
        ("r.act.isupper()", "the method call 'r.act.isupper()'"),
        ('"a".startswith(p.act)', "the method call"),
        ("member(r.act, p.act)(r.act, p.act)", "the method call"),
        ("r.act == act", "the name 'act'"),
        ("r.act == p_act", "the name 'p_act'"),
        ("r == p.act", "the name 'r'"),
        ("member == p.act", "the name 'member'"),
        ("known", "the name 'known'"),
        ("r2.act == p.act", "the name 'r2'"),
        ("x.r.act == p.act", "the name 'x'"),
        ("r.action == p.act", "'r.action'"),
        ("r.eft == p.act", "'r.eft'"),
        ("p.ctx == r.act", "'p.ctx'"),
        ("p.act.x == r.act", "'p.act.x'"),
        ("r.sub.a.b == p.act", "'r.sub.a.b'"),
        ("r.sub._a == p.act", "'r.sub._a'"),
        ("r.sub.__class__ == p.act", "'r.sub.__class__'"),
        ("r . act == p.act", "'r . act'"),
        ("(r).act == p.act", "'(r).act'"),
        ("(r.sub).known", "'(r.sub).known'"),
        ('r.act == "r.secret"', "'r.' within the literal"),
        ("r.act == 'p.secret'", "'p.' within the literal"),
        ('r.act == "x/p2."', "'p2.' within the literal"),
        ('r.act == "a&&b"', "'&&' within the literal"),
        ('r.act == "a||b"', "'||' within the literal"),
        ('r.act == "a!b"', "'!' within the literal"),
        ('r.act == "a!="', "'!' within the literal"),
        ('r.act == "eval(x)"', "'eval(' within the literal"),
        ('r.act == "a b"', "white space in the literal"),
        ('r.act == "a\\\nb"', "white space in the literal"),
        ('r.act == "a\\x41"', "a backslash within a line"),
        ('r.act == "a', 'the quote " without another'),
        ("r.act == a'", "the quote ' without another"),
        ('r.act == "a" "b"', "side by side"),
        ('r.act == """a"""', "side by side"),
        ('f"a" == p.act', "the prefix 'f'"),
        ('b"a" == p.act', "the prefix 'b'"),
        ("lambda: r.act == p.act", "a lambda"),
        ("[x for x in r.act]", "a comprehension"),
        ("{x for x in r.act}", "a comprehension"),
        ("member(x for x in r.act)", "a comprehension"),
        ("r.act[0] == p.act", "a subscript"),
        ('r.sub["x"].known', "a subscript"),
        ("(x := r.act) == p.act", "an assignment"),
        ("r.act == p.act if r.sub.known else r.sub.carried", "an if"),
        ("r.act + p.act == p.dom", "arithmetic"),
        ("r.sub.level * 2 < r.obj.level", "arithmetic"),
        ("-r.sub.level < 0", "arithmetic"),
        ("r.sub.known & r.sub.carried", "arithmetic"),
        ("~r.sub.known", "arithmetic"),
        ("r.act == p.act, r.sub.known", "more than one expression"),
        ("r.act in [p.act, p.dom]", "a list"),
        ("{p.act}", "a set"),
        ("await r.act", "an expression of Python"),
        ("r.obj.nbf <= r.ctx.now < r.obj.exp", "the chain"),
        ("r.act == p.act == r.dom", "the chain"),
        ("r.act is p.act", "the comparison 'r.act is p.act'"),
        ("r.act in p.act", "'in' before 'p.act'"),
        ("p.act in r.act", "'in' before 'r.act'"),
        ('r.act in "read write"', "'in' before"),
        ('r.act not in "read"', "'in' before"),
        ('"a" == "a"', "which reads nothing"),
        ('g("a", "a")', "which reads nothing"),
        ('"yes"', "'\"yes\"' by itself"),
        ("r.act == p.act || 1", "'1' by itself"),
        ("True", "'True' by itself"),
        ("r.act == True", "the constant 'True'"),
        ("r.act == None", "the constant 'None'"),
        ("r.act == p.act && r.sub.level", "'r.sub.level' by itself"),
        ("r.act == p.act || p.act", "'p.act' by itself"),
        ("!r.sub.level", "'r.sub.level' by itself"),
        ("r.sub", "'r.sub' by itself"),
        ("r.sub.level == 1.5", "the number '1.5'"),
        ("r.sub.level == .5", "the number '.5'"),
        ("r.sub.level == 0x1f", "the number '0x1f'"),
        ("r.sub.level == 1_0", "the number '1_0'"),
        ("r.sub.level == 01", "the number '01'"),
        ("r.sub.level == 1and r.sub.known", "the number '1and'"),
        (f"r.sub.level == {'9' * 5000}", "the number '999"),
        ("r.act == p.act &&", "does not parse"),
        ("r.act == (p.act", "does not parse"),
        ("r.act = p.act", "does not parse"),
        ("r.act == p.act; r.sub.known", "does not parse"),
        ("r.act == p.act p.dom", "does not parse"),
        ("! = r.act", "does not parse"),
        ("r.sub.known&& r.sub.carried", "'known' next to '&&'"),
        ("r.sub.known ||r.sub.carried", "'||' next to 'r'"),
        ("r.sub.known &&!r.sub.carried", "'&&' next to '!'"),
    ],
)
def test_what_a_matcher_may_not_say_is_refused(matcher: str, says: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refused = findings(matching(matcher))
    assert {finding.line for finding in refused} == {MATCHER}
    assert any(says in finding.found for finding in refused), refused


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_function_is_refused_even_if_it_is_declared(name: str) -> None:
    with pytest.raises(PolicyRefused, match="patterns match more than they say"):
        parse_model(matching(f"{name}(r.act, p.act)"), "x", functions=frozenset({name}))
    with pytest.raises(PolicyRefused, match="run as code"):
        parse_model(matching("eval(r.act, p.act)"), "x", functions=frozenset({"eval"}))


def test_what_may_be_called_and_what_is_a_yes_or_no_is_declared() -> None:
    text = matching("near(r.act, p.act) && r.sub.awake")
    parse_model(text, "x", functions=frozenset({"near"}), booleans=frozenset({"r.sub.awake"}))
    assert len(findings(text)) == 2
    with pytest.raises(PolicyRefused, match="a call of 'member'"):
        parse_model(matching("member(r.act, p.act)"), "x", functions=frozenset({"near"}))
    with pytest.raises(PolicyRefused, match="by itself"):
        parse_model(matching("r.sub.known"), "x", booleans=frozenset())


def test_a_role_that_is_not_defined_cannot_be_called_even_if_it_is_declared() -> None:
    with pytest.raises(PolicyRefused, match="define g3 = _, _"):
        parse_model(matching("g3(r.act, p.act)"), "x", functions=frozenset({"g3"}))


def test_the_message_says_file_line_found_expected_and_what_to_do() -> None:
    assert str(one(matching("r.action == p.act"))) == (
        "model.conf:11: 'r.action'; expected a field of r: sub, dom, obj, act, ctx; "
        "name a field of the definition"
    )


def test_all_findings_come_at_once_in_the_order_of_the_lines() -> None:
    text = """\
stray = 1
[request_definition]
r = sub, Dom
[policy_definition]
p = sub, sub
[role_definition]
g = _, _, _
g = _, _
[policy_efect]
[matchers]
m = eval(p.rule) \\
 && "a!b" \\
 && x.y == 1
m2 = true
[matchers]
# na\u00efve
"""
    lines = [line for line, _ in found(text)]
    assert lines == sorted(lines)
    assert set(lines) == {1, 3, 5, 7, 8, 9, 11, 14, 15, 16}
    assert len([line for line in lines if line == 11]) >= 4


def test_a_statement_over_several_lines_counts_from_its_first() -> None:
    text = matching("\\\n r.act \\\n == \\\n q.act")
    assert found(text) == [(MATCHER, "the name 'q'")]


def test_the_same_fault_at_two_places_is_one_finding() -> None:
    assert len(findings(matching("r.x == p.act || r.x == p.dom"))) == 1


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"])
def test_a_byte_order_mark_is_refused(mark: bytes) -> None:
    assert "byte order mark" in one(mark + MODEL.encode()).found
    assert "byte order mark" in one("\ufeff" + MODEL).found


def test_another_encoding_is_refused_with_its_line() -> None:
    assert found(MODEL.encode() + b"# caf\xe9") == [(12, "the byte 0xe9")]
    assert found(MODEL + "# \ud800")[0][0] == 12


@pytest.mark.parametrize(
    "character",
    [*"\x00\x0b\x0c\r\x1c\x7f\x85\xa0\xad\u200b\u2028\u202e\ufeff", *"\u00e9\u0430\uff42\u037e\u201c"],
)
@pytest.mark.parametrize(
    ("before", "line"),
    [("[matchers", 10), ("m", 11), ("r.act", 11), ("p = sub", 4), ("[request_definition", 1), ("g2 = _", 7)],
)
def test_a_character_that_is_hidden_or_not_ascii_is_the_one_finding(
    character: str, before: str, line: int
) -> None:
    text = MODEL.replace(before, before + character + ("-" if character == "\r" else ""), 1)
    found_line = text[: text.index(character)].count("\n") + 1
    assert found(text) == [(found_line, f"the character U+{ord(character):04X}")]
    assert found(MODEL + f"# {character}-") == [(12, f"the character U+{ord(character):04X}")]
    assert found_line <= line


def test_a_tab_is_white_space() -> None:
    assert model(MODEL.replace(" ", "\t")).matcher == "r.act == p.act"


def test_a_file_too_large_is_refused_unread() -> None:
    filled = MODEL + "#" * (MODEL_BYTES_MAX - len(MODEL))
    assert model(filled) == model()
    assert one(filled + "#").expected == f"at most {MODEL_BYTES_MAX}"


@pytest.mark.parametrize("data", [b"", b"\n", "# only a comment", "[", "]", "=", "\\", "\\\n\\\n", b"\x00"])
def test_a_file_that_says_nothing_is_refused(data: bytes | str) -> None:
    assert findings(data)


def test_nesting_is_bounded_on_both_sides() -> None:
    model(matching("!" * (NESTING_MAX - 1) + "r.sub.known"))
    assert "deeper nesting" in one(matching("!" * NESTING_MAX + "r.sub.known")).found


@pytest.mark.parametrize(
    "matcher",
    [
        "!" * 60_000 + "r.sub.known",
        "not " * 15_000 + "r.sub.known",
        "(" * 30_000 + "r.sub.known" + ")" * 30_000,
        "r" + ".a" * 30_000 + " == p.act",
        "-" * 60_000 + "1",
        "g(" * 20_000,
        "[" * 60_000,
        "lambda:" * 9_000 + "1",
        "r.act == " * 7_000 + "p.act",
    ],
)
def test_deep_nesting_ends_in_a_finding_and_not_in_the_recursion_limit(matcher: str) -> None:
    assert {finding.line for finding in findings(matching(matcher))} == {MATCHER}


PLAIN = """
[request_definition]
r = sub, act
[policy_definition]
p = sub, act, eft
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = r.act == p.act && r.sub == p.sub
"""


def lets_mallory_in(text: str) -> bool:
    enforcer = casbin.Enforcer(casbin.Enforcer.new_model(text=text))
    enforcer.add_policy("bob", "read", "allow")
    return bool(enforcer.enforce("mallory", "read"))


@pytest.mark.parametrize(
    "change",
    [
        (" && r.sub", " # bob alone && r.sub"),
        (" && r.sub", " # bob alone \\\n && r.sub"),
        (" && r.sub", " \\\n # bob alone\n && r.sub"),
        (" && r.sub", " \\\n\n && r.sub"),
        (" && r.sub == p.sub", "; r.sub == p.sub"),
        ("m = ", "m = r.sub == p.sub\nm = r.act == p.act\nm2 = "),
        ("[matchers]", "[matchers]\nm = r.sub == p.sub\n[matchers]\nm = r.act == p.act\n[more]"),
    ],
)
def test_what_casbin_cuts_off_skips_or_overrides_opens_a_door_and_is_refused(change: tuple[str, str]) -> None:
    text = PLAIN.replace(*change)
    assert not lets_mallory_in(PLAIN)
    assert lets_mallory_in(text)

    model(PLAIN)
    assert findings(text)


def tokens(text: str) -> list[tuple[int, int]]:
    """Return where each token outside of comments begins and ends; a line's end is one too."""
    places = re.finditer(r"(?m)^#.*\n|\w+|&&|\|\||[!=<>]=|\n|\S", text)
    return [found.span() for found in places if not found.group().startswith("#")]


def changed(seed: int) -> list[str]:
    """Return the shipped model with one token left out, or one of two others in its place."""
    dice = random.Random(seed)
    text = model_text()
    places = tokens(text)
    pool = sorted({text[begin:end] for begin, end in places})
    pool += ["or", "not", "True", "1", "x", "#", ";", "\\\n", "'", "[x]", "p.eft", "r.sub.known", "g2", " "]
    texts = [text[:begin] + text[end:] for begin, end in places]
    for begin, end in places:
        others = dice.sample([token for token in pool if token != text[begin:end]], 2)
        texts += [text[:begin] + other + text[end:] for other in others]
    return texts


def test_no_changed_token_goes_unseen_and_what_is_let_in_casbin_reads_alike() -> None:
    shipped = model(model_text())
    accepted = 0
    for text in changed(seed=3):
        try:
            read = model(text)
        except PolicyRefused:
            continue
        says_the_same = text.replace("\n", " ").split() == model_text().replace("\n", " ").split()
        assert (read.text == shipped.text) is says_the_same, text
        assert (read == shipped) is says_the_same
        assert as_read_here(read) == as_casbin_reads(text)
        accepted += 1
    assert accepted > 100


PIECES = [
    *sorted({model_text()[begin:end] for begin, end in tokens(model_text())}),
    *(
        "[matchers]\n",
        "[role_definition]\n",
        "m = ",
        "g = _, _\n",
        "r.sub.known",
        " ",
        "\\\n",
        "\r\n",
        "\x00",
    ),
    *("f'", "lambda", "{", "}", "*", "**", "%", "@", ":", ":=", "0x", "1e9", "\u0430", "\ufeff", "..."),
]


@settings(deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_whatever_a_matcher_says_it_is_read_or_refused(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            read = model(matching(text))
        except PolicyRefused:
            return
    assert as_read_here(read) == as_casbin_reads(matching(text))


@settings(deadline=None)
@given(
    st.one_of(st.binary(max_size=200), st.text(max_size=200), st.lists(st.sampled_from(PIECES)).map("".join))
)
def test_whatever_a_file_holds_it_is_read_or_refused(data: bytes | str) -> None:
    try:
        read = parse_model(data, "model.conf")
    except PolicyRefused:
        return
    assert as_read_here(read) == as_casbin_reads(normalised_model(read.text))
