"""Turn a file's owner and group bits into a label, and nothing else into readers.

Promise: nobody becomes a reader who could not open the file by its mode. The
owner must be able to reach it; a group counts only if the file and each
folder above it let that group in; `other` counts only when asked for and when
group and other may read the file and pass each folder. Where access lists
extend the mode, the mode's bits no longer say who reads, so only the owner is
kept. Whatever is unclear gives no label, and the file is its ingester's alone.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

from ringfence_governance import identifiers
from ringfence_governance.labels import EVERYBODY, Label

LOCAL_TENANT = "local"
"""The one tenant in which operating-system accounts are subjects."""

ACCESS_LIST_ATTRIBUTE = "system.posix_acl_access"


@dataclass(frozen=True, slots=True)
class Mode:
    """What the operating system says of one file or folder.

    Args:
        uid: Its owner's number.
        gid: Its group's number.
        bits: The nine permission bits (and more, unused).
        has_access_list: Whether an access list extends the bits.
    """

    uid: int
    gid: int
    bits: int
    has_access_list: bool = False


@dataclass(frozen=True, slots=True)
class PosixFacts:
    """A file's mode and those of every folder on the way to it, the nearest first."""

    file: Mode
    folders: tuple[Mode, ...]


class Accounts(Protocol):
    """The names behind the numbers."""

    def user_name(self, uid: int) -> str | None:
        """Return the login name, or None if there is none."""

    def group_name(self, gid: int) -> str | None:
        """Return the group's name, or None if there is none."""

    def groups_of(self, uid: int) -> frozenset[int]:
        """Return the numbers of all groups of a user, empty if unknown."""


class SystemAccounts:
    """The accounts of this machine, each looked up once."""

    @cache  # noqa: B019 - one object for each run
    def user_name(self, uid: int) -> str | None:
        """Return the login name, or None if there is none."""
        try:
            return pwd.getpwuid(uid).pw_name
        except KeyError:
            return None

    @cache  # noqa: B019 - one object for each run
    def group_name(self, gid: int) -> str | None:
        """Return the group's name, or None if there is none."""
        try:
            return grp.getgrgid(gid).gr_name
        except KeyError:
            return None

    @cache  # noqa: B019 - one object for each run
    def groups_of(self, uid: int) -> frozenset[int]:
        """Return the numbers of all groups of a user, empty if unknown."""
        try:
            account = pwd.getpwuid(uid)
        except KeyError:
            return frozenset()
        return frozenset(os.getgrouplist(account.pw_name, account.pw_gid))


def mode_of(target: int | Path) -> Mode:
    """Return the mode of an open file or folder, or of what is at a path."""
    found = os.stat(target)
    return Mode(found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode), _has_access_list(target))


def posix_label(facts: PosixFacts, tenant: str, *, trust_other: bool, accounts: Accounts) -> Label | None:
    """Return the label a file's mode gives, or None: private to the ingester.

    Args:
        facts: Modes of the file and of every folder above it.
        tenant: The ingester's.
        trust_other: Whether `other` may mean everybody in tenant `local`.
        accounts: Names behind the numbers.
    """
    if tenant != LOCAL_TENANT:
        return None
    owner = _principal("user", accounts.user_name(facts.file.uid))
    if owner is None or not _owner_reaches(facts, accounts.groups_of(facts.file.uid)):
        return None
    readers: set[str] = set()
    group = _principal("group", accounts.group_name(facts.file.gid))
    if group is not None and _group_reaches(facts):
        readers.add(group)
    if trust_other and _everybody_reaches(facts):
        readers = {EVERYBODY}
    return Label(tenant=LOCAL_TENANT, owner=owner, readers=frozenset(readers))


def _owner_reaches(facts: PosixFacts, groups: frozenset[int]) -> bool:
    if not facts.file.bits & stat.S_IRUSR:
        return False
    return all(_user_passes(folder, facts.file.uid, groups) for folder in facts.folders)


def _user_passes(folder: Mode, uid: int, groups: frozenset[int]) -> bool:
    # As the kernel does: the first class that fits decides, even if a later one would let in.
    if uid == 0:
        return True
    if folder.uid == uid:
        return bool(folder.bits & stat.S_IXUSR)
    if folder.has_access_list:
        return False
    return bool(folder.bits & (stat.S_IXGRP if folder.gid in groups else stat.S_IXOTH))


def _group_reaches(facts: PosixFacts) -> bool:
    if facts.file.has_access_list or not facts.file.bits & stat.S_IRGRP:
        return False
    return all(_group_passes(folder, facts.file.gid) for folder in facts.folders)


def _group_passes(folder: Mode, gid: int) -> bool:
    if folder.has_access_list:
        return False
    if folder.gid == gid:
        return bool(folder.bits & stat.S_IXGRP)
    # A member may also be in the folder's own group, whose bits then decide: both must let in.
    return bool(folder.bits & stat.S_IXOTH) and bool(folder.bits & stat.S_IXGRP)


def _everybody_reaches(facts: PosixFacts) -> bool:
    both_read = stat.S_IRGRP | stat.S_IROTH
    both_pass = stat.S_IXGRP | stat.S_IXOTH
    if facts.file.has_access_list or facts.file.bits & both_read != both_read:
        return False
    return all(
        not folder.has_access_list and folder.bits & both_pass == both_pass for folder in facts.folders
    )


def _principal(kind: str, name: str | None) -> str | None:
    """Return the principal of an account whose name is canonical as it stands; it is never folded."""
    if name is None:
        return None
    found = f"{LOCAL_TENANT}/{kind}:{name}"
    return found if identifiers.is_canonical(found, identifiers.PRINCIPAL_KINDS) else None


def _has_access_list(target: int | Path) -> bool:
    if not hasattr(os, "listxattr"):
        return False
    try:
        return ACCESS_LIST_ATTRIBUTE in os.listxattr(target)
    except OSError as error:
        # A filesystem without extended attributes has no access lists; any other failure might hide one.
        return error.errno != errno.ENOTSUP
