"""Say what a `.ringfence.yaml` gives to a path.

Promise: a file is taken whole or refused: an unknown key, a wrong type or an
unclear glob makes no rule at all. The first rule that matches decides. Only
the source root's file may widen or say whose mail addresses are whose; that
an inner one narrows is held where labels are chosen (`label_choice.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ringfence_governance import identifiers
from ringfence_governance.errors import InvalidInput
from ringfence_governance.labels import FIELDS

from .errors import LabelFileRefused
from .globs import Glob
from .limits import LABEL_FILE_BYTES_MAX, LABEL_RULES_MAX
from .strict_yaml import read_mapping

FILE_NAME = ".ringfence.yaml"
VERSION = 1

INLINE_FIELDS = tuple(name for name in FIELDS if name != "tenant")
"""Fields a rule may hold beside `glob`; the tenant is the owner's."""

HEADERS_READERS = "readers"

_RULE_KEYS = ("glob", "label", "headers", *INLINE_FIELDS)
_TOP_KEYS = ("version", "rules", "mail")


@dataclass(frozen=True, slots=True)
class LabelRule:
    """One rule: which paths, and what label.

    Args:
        glob: Relative to the rule's folder.
        where: The file and the rule's number, for messages and for the record of where a label came from.
        label: A named label, or None.
        fields: Inline fields as written, empty when `label` is given.
        headers: Whether the people of a mail's headers become readers too.
    """

    glob: Glob
    where: str
    label: str | None
    fields: Mapping[str, object]
    headers: bool


@dataclass(frozen=True, slots=True)
class LabelFile:
    """One `.ringfence.yaml`, read.

    Args:
        folder: Its folder relative to the source's root, empty for the root's own.
        rules: In the order written.
        domains: Mail domain to tenant; only the root's file may have any.
    """

    folder: str
    rules: tuple[LabelRule, ...]
    domains: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_root(self) -> bool:
        """Whether it lies in the source's root, so that it may widen."""
        return not self.folder

    def first_match(self, *paths: str) -> LabelRule | None:
        """Return the first rule that matches one of the paths, or None.

        Args:
            paths: Names of one document, relative to the source's root.
        """
        prefix = f"{self.folder}/" if self.folder else ""
        inner = [path[len(prefix) :] for path in paths if path.startswith(prefix)]
        return next((rule for rule in self.rules if any(map(rule.glob.matches, inner))), None)


def parse_label_file(data: bytes, folder: str) -> LabelFile:
    """Return the rules of one `.ringfence.yaml`.

    Args:
        data: Its bytes.
        folder: Its folder relative to the source's root, empty for the root's own.

    Raises:
        LabelFileRefused: Anything in it is unknown, malformed or unclear. No rule is made.
    """
    name = f"{folder}/{FILE_NAME}" if folder else FILE_NAME
    if len(data) > LABEL_FILE_BYTES_MAX:
        raise LabelFileRefused(f"{name}: found {len(data)} bytes; expected at most {LABEL_FILE_BYTES_MAX}")
    top = read_mapping(data, name)
    _check_keys(top, _TOP_KEYS, name)
    if top.get("version") != VERSION or type(top.get("version")) is not int:
        raise LabelFileRefused(
            f"{name}: found version {top.get('version')!r}; expected {VERSION}; write 'version: {VERSION}'"
        )
    return LabelFile(folder=folder, rules=_rules(top, name), domains=_domains(top, name, folder))


def _rules(top: Mapping[str, object], name: str) -> tuple[LabelRule, ...]:
    given = top.get("rules", [])
    if not isinstance(given, list) or len(given) > LABEL_RULES_MAX:
        raise LabelFileRefused(
            f"{name}: found rules that are {_amount(given)}; expected a list of at most {LABEL_RULES_MAX}, "
            "each starting with '- glob:'"
        )
    return tuple(_rule(rule, f"{name} rule {number}") for number, rule in enumerate(given, 1))


def _rule(given: object, where: str) -> LabelRule:
    if not isinstance(given, dict):
        raise LabelFileRefused(f"{where}: found {given!r}; expected a mapping with 'glob' and a label")
    _check_keys(given, _RULE_KEYS, where)
    if "glob" not in given:
        raise LabelFileRefused(f"{where}: found no glob; expected one, such as 'hr/**'")
    try:
        glob = Glob(given["glob"])
        label = identifiers.label_name(given["label"]) if "label" in given else None
    except InvalidInput as error:
        raise LabelFileRefused(f"{where}: {error}") from None
    fields = {key: given[key] for key in INLINE_FIELDS if key in given}
    headers = _headers(given, where)
    if label is not None and (fields or headers):
        extra = [*fields, *(["headers"] if headers else [])]
        raise LabelFileRefused(
            f"{where}: found label and {', '.join(extra)}; expected one or the other; "
            "a named label is what the policy says, so write the fields inline without 'label'"
        )
    if label is None and not fields and not headers:
        raise LabelFileRefused(
            f"{where}: found a glob and no label; expected 'label', or fields such as owner and readers"
        )
    return LabelRule(glob=glob, where=where, label=label, fields=fields, headers=headers)


def _headers(given: Mapping[str, object], where: str) -> bool:
    if "headers" not in given:
        return False
    if given["headers"] != HEADERS_READERS:
        raise LabelFileRefused(
            f"{where}: found headers {given['headers']!r}; expected {HEADERS_READERS!r}, or leave it out"
        )
    return True


def _domains(top: Mapping[str, object], name: str, folder: str) -> dict[str, str]:
    if "mail" not in top:
        return {}
    if folder:
        raise LabelFileRefused(
            f"{name}: found mail; expected it only in the source root's {FILE_NAME}; move it there"
        )
    mail = top["mail"]
    if not isinstance(mail, dict):
        raise LabelFileRefused(f"{name}: found mail {mail!r}; expected a mapping with 'domains'")
    _check_keys(mail, ("domains",), f"{name} mail")
    domains = mail.get("domains", {})
    if not isinstance(domains, dict):
        raise LabelFileRefused(f"{name} mail: found domains {domains!r}; expected domain: tenant")
    return {_domain(domain, name): _tenant(tenant, domain, name) for domain, tenant in domains.items()}


def _domain(domain: str, name: str) -> str:
    if domain != domain.lower() or not domain.isascii() or "@" in domain or not domain.strip(".") == domain:
        raise LabelFileRefused(
            f"{name} mail: found domain {domain!r}; expected lower-case ASCII such as acme.example"
        )
    return domain


def _tenant(tenant: object, domain: str, name: str) -> str:
    try:
        return identifiers.tenant(tenant)
    except InvalidInput as error:
        raise LabelFileRefused(f"{name} mail: domain {domain}: {error}") from None


def _check_keys(given: Mapping[str, object], known: tuple[str, ...], where: str) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise LabelFileRefused(
            f"{where}: found unknown {', '.join(map(repr, unknown))}; expected some of {', '.join(known)}; "
            "mend the spelling or take it out"
        )


def _amount(given: object) -> str:
    return f"a list of {len(given)}" if isinstance(given, list) else f"a {type(given).__name__}"
