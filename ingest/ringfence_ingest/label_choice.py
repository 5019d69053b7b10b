"""Choose the label of one document, and say where it came from.

The order: explicit (the document's own, else the run's); `.ringfence.yaml`;
the source's own permissions; private to the ingester.

Promise: each inner `.ringfence.yaml` can only narrow what stands outside it,
be that an outer rule or the permissions; what would widen refuses the
document. A mail's headers add readers only, beneath an owner's label that is
already there. Source: docs/decisions/0005-labels-from-sources.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ringfence_governance import identifiers
from ringfence_governance.drafts import LabelChoice
from ringfence_governance.errors import InvalidInput
from ringfence_governance.labels import Label

from .documents import Loaded, SourceItem
from .errors import FileTrouble
from .label_files import LabelFile, LabelRule
from .mail_readers import header_principals
from .posix_labels import Accounts, posix_label

IsLower = Callable[[LabelChoice, LabelChoice], bool]
"""Takes (new, old): whether giving `new` where `old` stood would widen."""

ORIGIN_DOCUMENT = "the document's own label"
ORIGIN_ARGUMENT = "the run's label"
ORIGIN_PERMISSIONS = "the source's permissions"
ORIGIN_PERMISSIONS_HEADERS = "the source's permissions and the mail's headers"
ORIGIN_PRIVATE = "private to the ingester"


@dataclass(frozen=True, slots=True)
class ChosenLabel:
    """A label and where it came from."""

    label: LabelChoice
    origin: str


@dataclass(frozen=True, slots=True)
class LabelChooser:
    """What a run knows when it chooses labels.

    Args:
        ingester: The person who ingests; owner where nothing else says.
        explicit: The run's label, or None.
        trust_other: Whether `other` of a mode may mean everybody in tenant `local`.
        accounts: Names behind operating-system numbers.
        is_lower: The door's comparison of two labels.
    """

    ingester: str
    explicit: LabelChoice | None
    trust_other: bool
    accounts: Accounts
    is_lower: IsLower

    def choose(self, item: SourceItem, loaded: Loaded) -> ChosenLabel:
        """Return the label of one document.

        Raises:
            FileTrouble: An inner file would widen, or a rule lacks an owner.
            InvalidInput: A rule's fields make no label, or a label file is malformed.
        """
        if item.label is not None:
            return ChosenLabel(item.label, ORIGIN_DOCUMENT)
        if self.explicit is not None:
            return ChosenLabel(self.explicit, ORIGIN_ARGUMENT)
        files = item.label_files()
        domains = files[0].domains if files and files[0].is_root else {}
        chosen = self._from_source(item, loaded, domains)
        for file in files:
            chosen = self._apply(file, item, loaded, domains, chosen)
        return chosen

    def _from_source(self, item: SourceItem, loaded: Loaded, domains: Mapping[str, str]) -> ChosenLabel:
        tenant = identifiers.tenant_of(self.ingester)
        label = None
        if loaded.permissions is not None:
            label = posix_label(
                loaded.permissions, tenant, trust_other=self.trust_other, accounts=self.accounts
            )
        if label is None:
            return ChosenLabel(Label(tenant=tenant, owner=self.ingester), ORIGIN_PRIVATE)
        if not item.is_mail:
            return ChosenLabel(label, ORIGIN_PERMISSIONS)
        extended = _with_header_readers(label, loaded, domains)
        return ChosenLabel(extended, ORIGIN_PERMISSIONS if extended == label else ORIGIN_PERMISSIONS_HEADERS)

    def _apply(
        self,
        file: LabelFile,
        item: SourceItem,
        loaded: Loaded,
        domains: Mapping[str, str],
        outer: ChosenLabel,
    ) -> ChosenLabel:
        rule = file.first_match(item.rule_path or item.path, *item.own_paths)
        if rule is None:
            return outer
        label = self._of_rule(rule, outer.label, is_root=file.is_root)
        if rule.headers and item.is_mail:
            label = _with_header_readers(label, loaded, domains)
        if not file.is_root and self.is_lower(label, outer.label):
            raise FileTrouble(
                f"{rule.where}, which would let in more than what stands outside it ({outer.origin})",
                "an inner file that only narrows: same owner, fewer readers, more denied, a higher level",
                "narrow that rule, or widen in the source root's .ringfence.yaml",
            )
        return ChosenLabel(label, rule.where)

    def _of_rule(self, rule: LabelRule, outer: LabelChoice, *, is_root: bool) -> LabelChoice:
        if rule.label is not None:
            return rule.label
        if not rule.fields:
            # The rule says only that headers count: everything else stays.
            return outer
        fields = dict(rule.fields)
        if "owner" not in fields:
            fields["owner"] = self._default_owner(rule, outer, is_root=is_root)
        try:
            return Label.from_mapping(fields)
        except InvalidInput as error:
            raise InvalidInput(f"{rule.where}: {error}") from None

    def _default_owner(self, rule: LabelRule, outer: LabelChoice, *, is_root: bool) -> str:
        if is_root:
            return self.ingester
        if isinstance(outer, Label):
            return outer.owner
        raise FileTrouble(
            f"{rule.where} without an owner beneath the named label {outer}",
            "the owner written out, since a named label's owner is the policy's",
            "write 'owner:' in that rule, or name a label",
        )


def _with_header_readers(label: LabelChoice, loaded: Loaded, domains: Mapping[str, str]) -> Label:
    if not isinstance(label, Label):
        raise FileTrouble(
            f"headers: readers on top of the named label {label}",
            "inline fields, since a named label's readers are the policy's",
            "write owner and readers inline in that rule",
        )
    people = header_principals(loaded.content, domains, label.tenant)
    return replace(label, readers=label.readers | people)
