"""Say whether a change lets somebody in more under a label, so that it needs `declassify`.

Promise: what is not called lower here opens nothing to anybody: no subject,
no chain, no purpose and no time reads more than before. Nothing here knows a
store; whoever judges a change asks here, and then the policy.

Source: DESIGN.md §3, *lowering*.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from . import authority
from .labels import Label, lowering
from .policy_index import PolicyIndex

__all__ = ["redefinition", "relabelling", "set_membership"]


def redefinition(new: Label, old: Label) -> tuple[str, ...]:
    """Say in which ways a named label's new meaning is lower than its old one; empty if it is not.

    The name stays, so every rule that names it, or a set it is in, applies to both alike.
    """
    return lowering(new, old)


def set_membership(before: PolicyIndex, after: PolicyIndex, label_id: str) -> tuple[str, ...]:
    """Say in which ways the sets a label is in let somebody in more than before; empty if they do not.

    Args:
        before: The policy as it stands.
        after: The policy with the change.
        label_id: The label's name.
    """
    old, new = set(before.closure("g2", label_id)[1:]), set(after.closure("g2", label_id)[1:])
    joined = [each for each in sorted(new - old) if _names(after, each, "allow")]
    left = [each for each in sorted(old - new) if _names(before, each, "deny")]
    return (
        *(f"it joins {each}, which a rule allows" for each in joined),
        *(f"it leaves {each}, which a rule denies" for each in left),
    )


def relabelling(index: PolicyIndex, new: Mapping[str, Label], old: Collection[tuple[str, Label]]) -> bool:
    """Say whether a document that goes from a label to another one gets a lower one.

    A compound label is readable only with all its parts, so each part of the
    old label needs one in the new that lets nobody in it does not.

    Args:
        index: The policy as it stands.
        new: Id → definition of each part of the new label.
        old: (id, definition) of each part of the old one.
    """
    return any(
        not any(
            not lowering(label, old_label) and authority.names_alike(index, new_id, old_id)
            for new_id, label in new.items()
        )
        for old_id, old_label in old
        if old_id not in new
    )


def _names(index: PolicyIndex, object_id: str, effect: str) -> bool:
    return any(rule.eft == effect for rule in index.by_object.get(object_id) or ())
