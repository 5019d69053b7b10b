"""Return the plain values of a small YAML file, each with its line, or everything wrong with it.

Promise: one document of mappings, lists, text and decimal integers. What YAML
would guess, merge, repeat or construct (times, yes and no, octals, duplicate
keys, anchors, aliases, tags, merges) is refused or is text; nothing is executed
and nothing grows beyond the file.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml

from .errors import Finding, PolicyRefused

NESTING_MAX = 8
"""Mappings and lists within each other; what we read needs four."""

CONTROL_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode characters that are not seen, or that change how others are seen."""

_INTEGER = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it stands.

    Args:
        line: From 1.
        value: Text, an integer, a list of nodes, or a mapping of text to (line of the key, node).
    """

    line: int
    value: str | int | list[Node] | dict[str, tuple[int, Node]]

    def plain(self) -> Any:
        """Return the value with every node replaced by its own value."""
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        if isinstance(self.value, dict):
            return {key: node.plain() for key, (_, node) in self.value.items()}
        return self.value


def decoded(data: bytes, file: str, bytes_max: int) -> str:
    """Return the text of a file that is UTF-8 without byte order mark and no larger than allowed.

    Raises:
        PolicyRefused: It is not; one finding.
    """
    if len(data) > bytes_max:
        _refuse(
            file,
            1,
            f"{len(data)} bytes",
            f"at most {bytes_max}",
            "split the file, or remove what is not needed",
        )
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        _refuse(file, 1, "a byte order mark", "UTF-8 without one", "save the file as plain UTF-8")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        _refuse(file, line, f"the byte 0x{data[error.start]:02x}", "UTF-8", "save the file as plain UTF-8")


def hidden_character(line: str) -> str | None:
    """Return the code, such as `U+200B`, of the line's first character that cannot be seen; None if none."""
    for character in line:
        if character != "\t" and unicodedata.category(character) in CONTROL_CATEGORIES:
            return f"U+{ord(character):04X}"
    return None


def parse(data: bytes, file: str, bytes_max: int) -> Node:
    """Return the one document of a YAML file.

    Args:
        data: The file's bytes.
        file: Its name, for the findings.
        bytes_max: Larger ones are refused unread.

    Raises:
        PolicyRefused: Anything outside the promise of this module; one finding, or one for each duplicate.
    """
    text = decoded(data, file, bytes_max)
    for number, line in enumerate(text.split("\n"), start=1):
        if hidden := hidden_character(line.removesuffix("\r")):
            _refuse(file, number, f"the character {hidden}", "characters that can be seen", "remove it")
    try:
        root = yaml.compose(text, Loader=_PlainLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        found = ": ".join(filter(None, (error.context, error.problem))) or "malformed YAML"
        do = 'write "*" in quotes; anchors and aliases are not read' if "alias" in found else "mend the YAML"
        _refuse(file, mark.line + 1 if mark else 1, found, "plain YAML", do)
    except yaml.YAMLError as error:
        _refuse(file, 1, f"malformed YAML ({type(error).__name__})", "plain YAML", "mend the YAML")
    if root is None:
        _refuse(file, 1, "an empty file", "a mapping", "write at least one key")
    findings: list[Finding] = []
    node = _node(root, file, findings)
    if findings:
        raise PolicyRefused(tuple(findings))
    return node


class _PlainLoader(yaml.SafeLoader):
    """Composes nodes; refuses anchors, aliases and deep nesting; guesses only integers."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {  # noqa: RUF012
        first: [("tag:yaml.org,2002:int", re.compile(r"(?:0|[1-9][0-9]{0,17})\Z"))] for first in "0123456789"
    }
    _nesting = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise _malformed("an anchor or alias", event)
        if self._nesting >= NESTING_MAX:
            raise _malformed(f"nesting deeper than {NESTING_MAX}", event)
        self._nesting += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._nesting -= 1


def _malformed(problem: str, event: yaml.Event) -> yaml.MarkedYAMLError:
    mark = event.start_mark
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark if isinstance(mark, yaml.Mark) else None)


def _node(node: yaml.Node, file: str, findings: list[Finding]) -> Node:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode) and node.tag in _SCALARS:
        is_integer = node.tag.endswith(":int") and _INTEGER.fullmatch(node.value)
        return Node(line, int(node.value) if is_integer else str(node.value))
    if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
        return Node(line, [_node(child, file, findings) for child in node.value])
    if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
        return Node(line, _mapping(node, file, findings))
    findings.append(Finding(file, line, f"the tag {node.tag!r}", "no tag", "write plain values"))
    return Node(line, "")


_SCALARS = frozenset({"tag:yaml.org,2002:str", "tag:yaml.org,2002:int"})


def _mapping(node: yaml.MappingNode, file: str, findings: list[Finding]) -> dict[str, tuple[int, Node]]:
    values: dict[str, tuple[int, Node]] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
        if key is None or key_node.tag != "tag:yaml.org,2002:str":
            findings.append(Finding(file, line, "a key that is not text", "text", "write a plain key"))
        elif key in values:
            found = f"the key {key!a} again, first in line {values[key][0]}"
            findings.append(Finding(file, line, found, "each key once", "remove one of them"))
        else:
            values[key] = (line, _node(value_node, file, findings))
    return values


def _refuse(file: str, line: int, found: str, expected: str, do: str) -> NoReturn:
    raise PolicyRefused((Finding(file, line, found, expected, do),))
