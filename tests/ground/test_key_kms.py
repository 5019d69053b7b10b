"""A master key in AWS KMS: the protocol against a real server of it, and every way in which it can say no."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ringfence_governance import key_kms_calls
from ringfence_governance.door import Door
from ringfence_governance.errors import InvalidInput, KeyUnavailable, StoreError
from ringfence_governance.key_choice import PROVIDER_FILE
from ringfence_governance.lance_tables import LanceTables

from .kms_server import REGION, SECRET, Kms, answering, free_port, running, silent
from .policy_files import HAL, OWN, OWN_LABELS, PAYROLL
from .worlds import ADMIN, WHY, World, bundle, copy_world, database, draft, make_world, open_world, subject

TEXT = "dora earns ninety"


@pytest.fixture(scope="session")
def kms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kms]:
    with running(tmp_path_factory.mktemp("kms")) as server:
        yield server


@pytest.fixture(autouse=True)
def asks(kms: Kms, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This process asks that server, with credentials from the environment and nowhere else."""
    for name, value in {
        "AWS_ENDPOINT_URL_KMS": kms.url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "AKIAQX7TEST",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def sealed(tmp_path: Path, kms: Kms) -> Iterator[World]:
    """A store whose master key is in the KMS."""
    world = make_world(tmp_path / "world", policy=bundle(OWN, OWN_LABELS), keys="aws-kms")
    world.put(draft("pay.txt", TEXT, PAYROLL))
    yield world
    world.door.close()


def key_of(world: World, generation: int = 1) -> str:
    return str(json.loads((world.keys / PROVIDER_FILE).read_text())["keys"][str(generation)])


def own_id(world: World) -> str:
    return key_of(world).rpartition("/")[2]


def refused(world: World, message: str) -> KeyUnavailable:
    """Opening the store fails with this, a remedy, and no secret; what is there is not changed."""
    world.door.close()
    before = {file: file.read_bytes() for file in world.folder.rglob("*") if file.is_file()}
    with pytest.raises(KeyUnavailable, match=message) as caught:
        open_world(world.folder)
    assert caught.value.hint
    assert SECRET not in f"{caught.value}{caught.value.hint}"
    after = {file: file.read_bytes() for file in world.folder.rglob("*") if file.is_file()}
    assert {file: text for file, text in after.items() if not file.name.endswith(("-wal", "-shm"))} == {
        file: text for file, text in before.items() if not file.name.endswith(("-wal", "-shm"))
    }
    return caught.value


def test_what_is_sealed_under_a_kms_key_opens_again(sealed: World) -> None:
    assert sealed.reopened().see(HAL).texts == (TEXT,)
    assert not (sealed.keys / "master.key").exists()


def test_no_credential_is_in_any_file(sealed: World) -> None:
    sealed.door.rotate_keys(subject(ADMIN), WHY, retire=True)
    sealed.door.close()
    everything = b"".join(file.read_bytes() for file in sealed.folder.rglob("*") if file.is_file())
    assert everything
    assert SECRET.encode() not in everything
    assert b"AKIAQX7TEST" not in everything


def test_a_wrap_opens_only_for_its_store_and_generation(sealed: World, kms: Kms) -> None:
    with database(sealed.keys / "keys.db") as opened:
        ((wrapped,),) = opened.execute("SELECT wrapped FROM generations").fetchall()
    provider = sealed.ground.keys.generations._provider
    whole = provider._context(1, b"place")  # type: ignore[attr-defined]
    assert whole["ringfence-store"] == sealed.ground.store_id
    assert whole["ringfence-generation"] == "1"
    client = kms.client()
    for context in ({}, whole, {"ringfence-store": sealed.ground.store_id}):
        with pytest.raises(client.exceptions.InvalidCiphertextException):
            client.decrypt(CiphertextBlob=wrapped, EncryptionContext=context)
    other = provider.wrap(1, b"k" * 32, b"one")
    assert provider.unwrap(1, other, b"one") == b"k" * 32
    with pytest.raises(KeyUnavailable, match="does not open the key database"):
        provider.unwrap(1, other, b"two")


def test_a_rotation_makes_a_key_and_schedules_the_old_ones_deletion(sealed: World, kms: Kms) -> None:
    old = key_of(sealed)
    done = sealed.door.rotate_keys(subject(ADMIN), WHY, retire=True)
    assert done["generation"] == 2
    (retired,) = done["retired"]
    assert not retired["destroyed"]
    assert old in retired["note"]
    described = kms.client().describe_key(KeyId=old)["KeyMetadata"]
    assert described["KeyState"] == "PendingDeletion"
    tags = {
        each["TagKey"]: each["TagValue"]
        for each in kms.client().list_resource_tags(KeyId=key_of(sealed, 2))["Tags"]
    }
    assert tags == {"ringfence-store": sealed.ground.store_id, "ringfence-generation": "2"}
    assert sealed.reopened().see(HAL).texts == (TEXT,)


def test_an_older_copy_of_the_keys_does_not_open_once_retired(sealed: World, tmp_path: Path) -> None:
    sealed.door.close()
    old = copy_world(sealed, tmp_path / "old")
    old.door.close()
    world = open_world(sealed.folder)
    world.door.rotate_keys(subject(ADMIN), WHY, retire=True)
    world.door.close()
    problem = refused(old, "found state PendingDeletion")
    assert "take its deletion back" in problem.hint


def test_a_key_that_was_there_before_is_used_and_never_deleted(tmp_path: Path, kms: Kms) -> None:
    given = kms.client().create_key(KeyUsage="ENCRYPT_DECRYPT")["KeyMetadata"]
    kms.client().create_alias(AliasName="alias/team", TargetKeyId=given["KeyId"])
    world = make_world(tmp_path / "world", policy=bundle(OWN, OWN_LABELS), keys="aws-kms:alias/team")
    assert key_of(world) == given["Arn"]
    (retired,) = world.door.rotate_keys(subject(ADMIN), WHY, retire=True)["retired"]
    assert "yourself" in retired["note"]
    assert kms.client().describe_key(KeyId=given["KeyId"])["KeyMetadata"]["KeyState"] == "Enabled"
    world.door.close()


def test_a_disabled_key_opens_nothing_until_it_is_enabled(sealed: World, kms: Kms) -> None:
    kms.client().disable_key(KeyId=own_id(sealed))
    assert "can enable it" in refused(sealed, "found state Disabled; expected Enabled").hint
    kms.client().enable_key(KeyId=own_id(sealed))
    assert open_world(sealed.folder).see(HAL).texts == (TEXT,)


def test_another_key_of_the_account_opens_nothing(sealed: World, kms: Kms) -> None:
    other = kms.client().create_key()["KeyMetadata"]["Arn"]
    path = sealed.keys / PROVIDER_FILE
    path.write_text(path.read_text().replace(key_of(sealed), other))
    assert "belong together" in refused(sealed, "AccessDenied|does not open").hint


def test_a_key_that_is_not_there_is_named(sealed: World) -> None:
    path = sealed.keys / PROVIDER_FILE
    path.write_text(path.read_text().replace(key_of(sealed)[-12:], "000000000000"))
    refused(sealed, "NotFoundException")


def test_a_kms_that_is_down_is_named(sealed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", f"http://127.0.0.1:{free_port()}")
    assert "can be reached" in refused(sealed, r"EndpointConnectionError").hint


def test_a_kms_that_says_nothing_is_not_waited_for(sealed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_kms_calls, "TIMEOUT_S", 1)
    with silent() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", url)
        started = time.monotonic()
        assert "can be reached" in refused(sealed, r"ReadTimeoutError|ConnectTimeoutError").hint
        assert time.monotonic() - started < 2 * 1 * key_kms_calls.ATTEMPTS_MAX + 5


def test_without_credentials_nothing_opens(sealed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert "credentials" in refused(sealed, "NoCredentialsError").hint


def test_credentials_that_kms_does_not_know_open_nothing(sealed: World, kms: Kms) -> None:
    kms.look_who_asks("0")
    try:
        assert "credentials" in refused(sealed, "does not accept this process's credentials").hint
    finally:
        kms.look_who_asks("inf")


@pytest.mark.parametrize(
    ("status", "code", "hint"),
    [
        (400, "DisabledException", "enable it"),
        (400, "KMSInvalidStateException", "enable it"),
        (400, "AccessDeniedException", "kms:Decrypt"),
        (400, "ExpiredTokenException", "credentials"),
        (400, "ThrottlingException", "try again"),
        (500, "KMSInternalException", "try again"),
        (400, "SomethingNewException", "kms:Decrypt"),
    ],
)
def test_what_kms_refuses_is_named_with_what_to_do(
    sealed: World, monkeypatch: pytest.MonkeyPatch, status: int, code: str, hint: str
) -> None:
    with answering(status, code) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", url)
        assert hint in refused(sealed, code).hint


def test_an_answer_by_another_key_is_not_used(sealed: World, kms: Kms) -> None:
    provider = sealed.ground.keys.generations._provider
    with pytest.raises(KeyUnavailable, match="nothing of it is used"):
        provider._by("arn:aws:kms:x:1:key/mine", {"KeyId": "arn:aws:kms:x:1:key/other"})  # type: ignore[attr-defined]


def test_a_changed_byte_of_what_kms_wrapped_opens_nothing(sealed: World) -> None:
    with database(sealed.keys / "keys.db") as opened:
        ((wrapped,),) = opened.execute("SELECT wrapped FROM generations").fetchall()
        changed = bytes(wrapped[:-1]) + bytes([wrapped[-1] ^ 1])
        opened.execute("UPDATE generations SET wrapped = ?", [changed])
        opened.commit()
    refused(sealed, "does not open the key database")


def test_a_rotation_that_kms_refuses_leaves_the_old_key_in_force(
    sealed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (sealed.keys / PROVIDER_FILE).read_bytes()
    with answering(400, "LimitExceededException") as url, monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_KMS", url)
        sealed.ground.keys.generations._provider._calls._clients.clear()  # type: ignore[attr-defined]
        with pytest.raises(KeyUnavailable, match="LimitExceededException"):
            sealed.door.rotate_keys(subject(ADMIN), WHY, retire=True)
    assert (sealed.keys / PROVIDER_FILE).read_bytes() == before
    assert sealed.reopened().see(HAL).texts == (TEXT,)


def test_a_store_that_cannot_have_its_kms_key_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(KeyUnavailable):
        Door.create(tmp_path / "store", bundle(), ADMIN, keys_home=tmp_path / "keys", keys="aws-kms")
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


@pytest.mark.parametrize("given", [False, True])
def test_a_making_that_fails_later_schedules_the_deletion_of_its_own_key_and_of_no_other(
    tmp_path: Path, kms: Kms, monkeypatch: pytest.MonkeyPatch, given: bool
) -> None:
    def fails(_: LanceTables) -> None:
        raise StoreError("the tables cannot be written")

    there = kms.client().create_key(KeyUsage="ENCRYPT_DECRYPT")["KeyMetadata"]["Arn"]
    before = {each["KeyArn"] for each in kms.client().list_keys(Limit=1000)["Keys"]}
    monkeypatch.setattr(LanceTables, "create", fails)
    keys = f"aws-kms:{there}" if given else "aws-kms"
    with pytest.raises(StoreError):
        Door.create(tmp_path / "store", bundle(), ADMIN, keys_home=tmp_path / "keys", keys=keys)
    made = {each["KeyArn"] for each in kms.client().list_keys(Limit=1000)["Keys"]} - before
    states = {kms.client().describe_key(KeyId=each)["KeyMetadata"]["KeyState"] for each in made}
    assert states == (set() if given else {"PendingDeletion"})
    assert kms.client().describe_key(KeyId=there)["KeyMetadata"]["KeyState"] == "Enabled"
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_a_making_that_fails_and_cannot_reach_kms_any_more_names_the_key_that_is_left(
    tmp_path: Path, kms: Kms, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: LanceTables) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", f"http://127.0.0.1:{free_port()}")
        raise StoreError("the tables cannot be written")

    before = {each["KeyArn"] for each in kms.client().list_keys(Limit=1000)["Keys"]}
    monkeypatch.setattr(LanceTables, "create", fails)
    with pytest.raises(StoreError, match="left behind: KMS key") as caught:
        Door.create(tmp_path / "store", bundle(), ADMIN, keys_home=tmp_path / "keys", keys="aws-kms")
    (left,) = {each["KeyArn"] for each in kms.client().list_keys(Limit=1000)["Keys"]} - before
    assert left in str(caught.value)
    assert "deletion" in caught.value.hint
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


@pytest.mark.parametrize("chosen", ["aws-kms:", "file:x", "environment:1", "vault", ""])
def test_an_unknown_kind_is_refused(tmp_path: Path, chosen: str) -> None:
    with pytest.raises(InvalidInput, match="expected file, environment, aws-kms"):
        Door.create(tmp_path / "store", bundle(), ADMIN, keys_home=tmp_path / "keys", keys=chosen)
