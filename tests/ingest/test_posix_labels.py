from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence_governance.labels import Label
from ringfence_ingest.beneath import modes_above, open_file
from ringfence_ingest.posix_labels import Mode, PosixFacts, SystemAccounts, mode_of, posix_label

ADA, BOB = 1001, 1002
STAFF, OPS = 50, 60


class Accounts:
    users: ClassVar = {ADA: "ada", BOB: "bob", 0: "root", 7: "Ada", 8: "dömäne\\ada"}
    groups: ClassVar = {STAFF: "staff", OPS: "ops", 70: "Domain Users"}

    def user_name(self, uid: int) -> str | None:
        return self.users.get(uid)

    def group_name(self, gid: int) -> str | None:
        return self.groups.get(gid)

    def groups_of(self, uid: int) -> frozenset[int]:
        return frozenset({STAFF}) if uid in (ADA, BOB) else frozenset()


OPEN = Mode(0, 0, 0o755)


def label(
    bits: int,
    *folders: Mode,
    uid: int = ADA,
    gid: int = STAFF,
    tenant: str = "local",
    trust_other: bool = False,
    access_list: bool = False,
) -> Label | None:
    facts = PosixFacts(Mode(uid, gid, bits, access_list), folders or (OPEN,))
    return posix_label(facts, tenant, trust_other=trust_other, accounts=Accounts())


def readers(*arguments: object, **more: object) -> list[str] | None:
    found = label(*arguments, **more)  # type: ignore[arg-type]
    return None if found is None else sorted(found.readers)


def test_owner_and_group_bits_become_owner_and_reader() -> None:
    assert label(0o640) == Label(
        tenant="local", owner="local/user:ada", readers=frozenset({"local/group:staff"})
    )
    assert readers(0o600) == []


def test_other_never_becomes_a_reader_by_itself() -> None:
    assert readers(0o644) == ["local/group:staff"]
    assert readers(0o604) == []


def test_other_is_everybody_only_when_asked_and_every_folder_is_open() -> None:
    assert readers(0o644, trust_other=True) == ["*"]
    assert readers(0o644, OPEN, Mode(ADA, OPS, 0o750), trust_other=True) == []
    assert readers(0o644, OPEN, Mode(ADA, STAFF, 0o750), trust_other=True) == ["local/group:staff"]
    # Everybody but the group: the label cannot say that, so nobody is added.
    assert readers(0o604, trust_other=True) == []
    assert readers(0o644, Mode(0, OPS, 0o705), trust_other=True) == []


def test_another_tenants_files_are_private() -> None:
    assert label(0o644, tenant="acme", trust_other=True) is None


def test_a_closed_folder_anywhere_above_keeps_the_group_out() -> None:
    assert readers(0o640, OPEN, Mode(ADA, STAFF, 0o700)) == []
    assert readers(0o640, Mode(ADA, STAFF, 0o710), OPEN) == ["local/group:staff"]
    assert readers(0o640, Mode(ADA, OPS, 0o710), OPEN) == []
    assert readers(0o640, Mode(ADA, STAFF, 0o701), OPEN) == []


def test_an_owner_who_cannot_reach_the_file_gives_no_label() -> None:
    assert label(0o240) is None
    assert label(0o640, Mode(BOB, OPS, 0o700)) is None
    assert label(0o640, Mode(BOB, STAFF, 0o701)) is None
    assert label(0o640, Mode(BOB, STAFF, 0o710)) is not None
    assert label(0o640, Mode(BOB, OPS, 0o701), gid=OPS) is not None


def test_an_access_list_leaves_the_owner_alone() -> None:
    assert readers(0o664, access_list=True, trust_other=True) == []
    assert readers(0o664, Mode(ADA, STAFF, 0o775, has_access_list=True), trust_other=True) == []
    assert label(0o664, Mode(BOB, STAFF, 0o775, has_access_list=True)) is None


@pytest.mark.parametrize("uid", [7, 8, 4242])
def test_an_owner_whose_name_is_not_canonical_gives_no_label(uid: int) -> None:
    assert label(0o644, uid=uid) is None


@pytest.mark.parametrize("gid", [70, 4242])
def test_a_group_whose_name_is_not_canonical_is_no_reader(gid: int) -> None:
    assert readers(0o644, gid=gid) == []


MODES = st.builds(
    Mode,
    st.sampled_from([ADA, BOB, 0]),
    st.sampled_from([STAFF, OPS]),
    st.integers(0, 0o777),
    st.sampled_from([False, False, True]),
)


def may_open(uid: int, groups: set[int], file: Mode, folders: tuple[Mode, ...]) -> bool:
    """The kernel's rule: owner, else group, else other; one class only."""

    def class_bits(mode: Mode) -> int:
        if mode.uid == uid:
            return mode.bits >> 6
        return mode.bits >> 3 if mode.gid in groups else mode.bits

    return bool(class_bits(file) & 4) and all(class_bits(folder) & 1 for folder in folders)


@given(MODES, st.lists(MODES, min_size=1, max_size=4), st.booleans())
def test_nobody_reads_by_label_who_could_not_by_mode(file: Mode, folders: list[Mode], trust: bool) -> None:
    found = posix_label(PosixFacts(file, tuple(folders)), "local", trust_other=trust, accounts=Accounts())
    if found is None:
        return
    if found.owner != "local/user:root":
        uid = {"local/user:ada": ADA, "local/user:bob": BOB}[found.owner]
        assert may_open(uid, {STAFF}, file, tuple(folders))
    strangers = [
        (uid, groups) for uid in (5001, 5002) for groups in (set(), {STAFF}, {OPS}, {STAFF, OPS}, {99})
    ]
    for uid, groups in strangers:
        reads = "*" in found.readers or any(
            f"local/group:{Accounts.groups.get(g)}" in found.readers for g in groups
        )
        if reads:
            assert may_open(uid, groups, file, tuple(folders))


def test_a_real_file_has_its_mode_and_those_of_all_folders_above(folder: Path) -> None:
    (folder / "in").mkdir(mode=0o750)
    file = folder / "in" / "a.txt"
    file.write_text("x")
    file.chmod(0o640)
    with open_file(folder, "in/a.txt") as opened:
        facts = opened.facts(modes_above(folder))
    assert facts.file.bits == 0o640
    assert facts.file.uid == os.getuid()
    assert len(facts.folders) == len(file.parents)
    assert facts.folders[0] == mode_of(folder / "in")
    assert facts.folders[-1] == mode_of(Path("/"))


@pytest.fixture
def file_with_access_list(folder: Path) -> Iterator[Path]:
    """A file with an access list, on the first of this machine's file systems that keeps them."""
    # The kernel's own form: version 2, then (tag, permissions, id) for owner, user 1, group, mask, other.
    nobody = 0xFFFFFFFF
    entries = [(1, 6, nobody), (2, 4, 1), (4, 0, nobody), (16, 4, nobody), (32, 0, nobody)]
    value = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    without = []
    for place in (folder, gettempdir(), "/var/tmp", "/dev/shm", Path.cwd()):
        try:
            with TemporaryDirectory(dir=place) as made:
                file = Path(made) / "a.txt"
                file.write_text("x")
                assert not mode_of(file).has_access_list
                os.setxattr(file, "system.posix_acl_access", value)
                yield file
                return
        except (OSError, AttributeError) as error:
            without.append(f"{place}: {error}")
    pytest.skip(f"no file system of this machine keeps POSIX access lists: {'; '.join(without)}")


def test_a_real_access_list_is_seen(file_with_access_list: Path) -> None:
    file = file_with_access_list
    # The mask now stands where the group's bits were: by mode alone the group would seem to read.
    assert file.stat().st_mode & 0o040
    assert mode_of(file).has_access_list


def test_accounts_of_this_machine_have_names() -> None:
    accounts = SystemAccounts()
    assert accounts.user_name(0) == "root"
    assert 0 in accounts.groups_of(0)
    assert accounts.group_name(0) is not None
    assert accounts.user_name(3_999_999_999) is None
    assert accounts.group_name(3_999_999_999) is None
    assert accounts.groups_of(3_999_999_999) == frozenset()
