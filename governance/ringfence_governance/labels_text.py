"""Return the named labels of a `labels.yaml`, or everything wrong with it, each with its line.

Promise: a label is returned only if every one in the file is whole. Nothing is
guessed, merged or defaulted but what the format says: absent fields.
"""

from __future__ import annotations

from . import identifiers, strict_yaml
from .errors import Finding, InvalidIdentifier, InvalidLabel, PolicyRefused
from .labels import FIELDS, Label, NamedLabel
from .policy_checks import bounded
from .strict_yaml import Node

LABELS_BYTES_MAX = 8 * 1024 * 1024
"""Largest `labels.yaml`: some ten thousand labels."""

_FIELDS = tuple(name for name in FIELDS if name != "tenant")
_DO = "see the format of labels.yaml; ids are tenant/kind:name in lower-case ASCII"


def parse_labels_yaml(data: bytes, file: str) -> tuple[NamedLabel, ...]:
    """Return the labels a `labels.yaml` defines, in its order.

    Args:
        data: The file's bytes.
        file: Its name, for the findings.

    Raises:
        PolicyRefused: Anything is malformed. Carries every finding.
    """
    root = strict_yaml.parse(data, file, LABELS_BYTES_MAX)
    if not isinstance(root.value, dict) or set(root.value) != {"labels"}:
        shape = "one key, 'labels', and a mapping"
        raise PolicyRefused((Finding(file, root.line, "another shape", shape, _DO),))
    labels, findings = labels_beneath(root.value["labels"][1], file)
    if findings:
        raise PolicyRefused(bounded(findings, file))
    return labels


def labels_beneath(node: Node, file: str) -> tuple[tuple[NamedLabel, ...], tuple[Finding, ...]]:
    """Return the labels that stand beneath a key `labels`, in their order, and everything wrong with them.

    Args:
        node: What the key holds.
        file: The file's name, for the findings.

    Returns:
        Labels that are whole, and findings; with one finding the labels are not all there are.
    """
    if not isinstance(node.value, dict):
        finding = Finding(file, node.line, "no mapping beneath 'labels'", "label names with fields", _DO)
        return (), (finding,)
    findings: list[Finding] = []
    found = [_label(name, line, fields, file, findings) for name, (line, fields) in node.value.items()]
    return tuple(label for label in found if label is not None), tuple(findings)


def _label(name: str, line: int, node: Node, file: str, findings: list[Finding]) -> NamedLabel | None:
    try:
        identifiers.label_name(name)
    except InvalidIdentifier:
        findings.append(Finding(file, line, f"label {name!a}", "tenant/label:name", _DO))
        return None
    if not isinstance(node.value, dict):
        findings.append(Finding(file, node.line, f"label {name!r} without fields", "at least an owner", _DO))
        return None
    before = len(findings)
    for field, (field_line, value) in node.value.items():
        if field not in _FIELDS:
            found = f"label {name!r}: field {field!a}"
            findings.append(Finding(file, field_line, found, f"some of {', '.join(_FIELDS)}", _DO))
        elif repeated := _repeated(value):
            found = f"label {name!r}: {repeated!r} twice in {field}"
            findings.append(Finding(file, field_line, found, "each name once", "remove one of them"))
    if len(findings) > before:
        return None
    try:
        return NamedLabel(name, Label.from_mapping(node.plain(), tenant=identifiers.tenant_of(name)))
    except InvalidLabel as error:
        found, _, expected = str(error).partition("; expected ")
        findings.append(Finding(file, line, f"label {name!r}: {found}", expected or "a whole label", _DO))
        return None


def _repeated(node: Node) -> str:
    if not isinstance(node.value, list):
        return ""
    seen: set[str] = set()
    for item in node.value:
        text = str(item.value)
        if text in seen:
            return text
        seen.add(text)
    return ""
