from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence_governance.errors import InvalidInput
from ringfence_ingest.globs import Glob


@pytest.mark.parametrize(
    ("glob", "matching", "other"),
    [
        ("hr/**", ["hr/a", "hr/b/c"], ["hr", "hrx/a", "x/hr/a"]),
        ("**", ["a", "a/b/c"], []),
        ("**/plan.md", ["plan.md", "a/plan.md", "a/b/plan.md"], ["xplan.md", "plan.md/a"]),
        ("*.md", ["a.md", ".md"], ["a/b.md", "a.mdx", "A.MD"]),
        ("**/*.md", ["a.md", "x/y/b.md"], ["a.txt"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["a", "b", "a/x", "ab"]),
        ("a/*/b", ["a/x/b"], ["a/b", "a/x/y/b"]),
        ("a/**/**", ["a/b", "a/b/c"], ["a"]),
        ("?.txt", ["a.txt"], [".txt", "ab.txt"]),
        ("[abc].txt", ["a.txt"], ["d.txt"]),
        ("[!abc].txt", ["d.txt"], ["a.txt"]),
        ("[*].txt", ["*.txt"], ["a.txt"]),
        ("mail/*.mbox", ["mail/a.mbox"], ["mail/x/a.mbox", "a.mbox"]),
        ("caf\u00e9/**", ["cafe\u0301/x", "caf\u00e9/x"], ["cafe/x"]),
        ("a.b", ["a.b"], ["axb"]),
        ("a+(b)", ["a+(b)"], ["aab"]),
    ],
)
def test_a_glob_matches_exactly_what_its_rules_say(glob: str, matching: list[str], other: list[str]) -> None:
    assert [path for path in matching if not Glob(glob).matches(path)] == []
    assert [path for path in other if Glob(glob).matches(path)] == []


@pytest.mark.parametrize(
    ("glob", "why"),
    [
        ("", "0 characters"),
        ("/a", "an empty part"),
        ("a/", "an empty part"),
        ("a//b", "an empty part"),
        ("../a", "'..'"),
        ("./a", "'.'"),
        ("a**", "stands alone"),
        ("**.md", "stands alone"),
        ("a\\b", "a backslash"),
        ("{a,b}/**", "a brace"),
        ("[a", "closed by"),
        ("[]", "closed by"),
        ("a\nb", "a control character"),
        ("x" * 2000, "2000 characters"),
        (None, "expected text"),
        (5, "expected text"),
    ],
)
def test_an_unclear_glob_is_refused(glob: str, why: str) -> None:
    with pytest.raises(InvalidInput, match="glob: found") as refused:
        Glob(glob)
    assert why in str(refused.value)


def brute(pattern: list[str], path: list[str]) -> bool:
    """The definition, written as plainly as possible."""
    if not pattern:
        return not path
    if pattern == ["**"]:
        return bool(path)
    if pattern[0] == "**":
        return any(brute(pattern[1:], path[skip:]) for skip in range(len(path) + 1))
    return bool(path) and brute_part(pattern[0], path[0]) and brute(pattern[1:], path[1:])


def brute_part(pattern: str, part: str) -> bool:
    if not pattern:
        return not part
    if pattern[0] == "*":
        return any(brute_part(pattern[1:], part[skip:]) for skip in range(len(part) + 1))
    return bool(part) and pattern[0] in ("?", part[0]) and brute_part(pattern[1:], part[1:])


PARTS = st.text(alphabet="ab*?", min_size=1, max_size=3).filter(lambda part: "**" not in part)


@given(
    st.lists(PARTS | st.just("**"), min_size=1, max_size=5),
    st.lists(st.text(alphabet="ab", min_size=1, max_size=3), min_size=1, max_size=5),
)
def test_matching_equals_the_definition(pattern: list[str], path: list[str]) -> None:
    assert Glob("/".join(pattern)).matches("/".join(path)) == brute(pattern, path)


def test_no_glob_is_slow() -> None:
    started = time.monotonic()
    Glob("*a" * 400 + "b").matches("a" * 250)
    Glob("/".join(["**", "a"] * 200) + "/b").matches("/".join(["a"] * 250))
    assert time.monotonic() - started < 5
