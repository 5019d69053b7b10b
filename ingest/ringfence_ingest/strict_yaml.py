"""Read a small YAML file without any of YAML's surprises.

Promise: what is returned is plain mappings, lists, text, integers, booleans
and None. A key given twice, an alias, a tag or a second document is refused.
Times stay text.
"""

from __future__ import annotations

import yaml

from .errors import LabelFileRefused


class _StrictLoader(yaml.SafeLoader):
    """The safe loader without aliases, double keys and implicit times."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = parent.start_mark if parent is not None else None
            raise yaml.MarkedYAMLError(problem="an alias", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.MarkedYAMLError(problem="a key that is not text", problem_mark=key_node.start_mark)
            if key in seen or key == "<<":
                raise yaml.MarkedYAMLError(problem="a key given twice", problem_mark=key_node.start_mark)
            seen.add(key)
        return dict(super().construct_mapping(node, deep=deep))


_StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_mapping(data: bytes, name: str) -> dict[str, object]:
    """Return the one mapping that `data` holds.

    Args:
        data: UTF-8.
        name: The file, for messages.

    Raises:
        LabelFileRefused: Not UTF-8, not YAML, or something this reader does not take.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise LabelFileRefused(
            f"{name}: found a byte at {error.start} that is not UTF-8; expected UTF-8; save it so"
        ) from None
    try:
        value = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader, made stricter
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise LabelFileRefused(
            f"{name}{_line(error)}: found {_problem(error)}; expected plain YAML: mappings with each key once, "
            "lists, text and numbers, no aliases; mend that line"
        ) from None
    if not isinstance(value, dict):
        raise LabelFileRefused(
            f"{name}: found {_kind(value)}; expected a mapping that starts with 'version: 1'"
        )
    return value


def _line(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f":{mark.line + 1}" if mark is not None else ""


def _problem(error: Exception) -> str:
    problem = getattr(error, "problem", None)
    return problem if isinstance(problem, str) else "something that is not YAML"


def _kind(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
