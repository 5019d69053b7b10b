"""`ringfence erase` and `ringfence verify-erasure`, as people and programs call them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ringfence_governance.key_file import keys_home

Call = Callable[..., Any]
INGESTER, CARL, OLGA = "acme/user:ingester", "acme/user:carl", "acme/user:olga"
WHY = ["--why", "asked to by its owner"]


@pytest.fixture
def own_firm(own_firm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy with keys of its own: what is erased under shared keys is erased from every copy that is opened."""
    home = Path(shutil.copytree(keys_home(), tmp_path / "home"))
    monkeypatch.setenv("RINGFENCE_HOME", str(home))
    return own_firm


def offer_in(call: Call, store: Path, subject: str = CARL) -> list[str]:
    found = call("list", store, "--as", subject, "--json").json["documents"]
    return [each["id"] for each in found if each["path"] == "offer.txt"]


def test_erased_and_proved(call: Call, own_firm: Path, tmp_path: Path) -> None:
    (offer,) = offer_in(call, own_firm)
    done = call(
        "erase", own_firm, offer, *WHY, "--ticket", "T-9", "--as", INGESTER, "--canary", "Meridian forty"
    )
    assert done.code == 0, done
    assert f"erased       {offer}\n" in done.out
    assert "clean        yes\n" in done.out
    assert offer_in(call, own_firm) == []
    # Asked again, it gives the certificate of then.
    again = call("erase", own_firm, offer, *WHY, "--as", INGESTER, "--json")
    assert again.code == 0
    assert again.json["certificate"]["documents"] == [offer]
    for name, content in {"answer.json": again.json, "certificate.json": again.json["certificate"]}.items():
        (tmp_path / name).write_text(json.dumps(content), "utf-8")
        verified = call("verify-erasure", own_firm, tmp_path / name, "--as", OLGA, "--json")
        assert verified.code == 0, verified
        assert verified.json["holds"] is True
    shown = call("verify-erasure", own_firm, tmp_path / "answer.json", "--as", OLGA)
    assert "holds  signature\n" in shown.out


def test_a_forged_certificate_fails(call: Call, own_firm: Path, tmp_path: Path) -> None:
    (offer,) = offer_in(call, own_firm)
    made = call("erase", own_firm, offer, *WHY, "--as", INGESTER, "--json").json["certificate"]
    (tmp_path / "c.json").write_text(json.dumps(made | {"at": "2020-01-01T00:00:00Z"}), "utf-8")
    run = call("verify-erasure", own_firm, tmp_path / "c.json", "--as", OLGA)
    assert run.code == 1
    assert "FAILS  signature\n" in run.out


def test_who_may_not_is_refused(call: Call, own_firm: Path, tmp_path: Path) -> None:
    (offer,) = offer_in(call, own_firm)
    carl = call("erase", own_firm, offer, *WHY, "--as", CARL)
    assert carl.code == 1
    assert "may not delete" in carl.err
    sam = call("erase", own_firm, offer, *WHY, "--as", "acme/user:sam")
    unknown = call("erase", own_firm, "0" * 32, *WHY, "--as", "acme/user:sam")
    assert (sam.code, sam.err) == (unknown.code, unknown.err)
    assert offer_in(call, own_firm) == [offer]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["offer.txt"], "32 hexadecimal digits"),
        (["0" * 32, "--canary", "tiny"], "6 to 4096"),
    ],
)
def test_misuse_is_told(words: list[str], says: str, call: Call, firm: Path) -> None:
    run = call("erase", firm, *words, *WHY, "--as", INGESTER)
    assert run.code == 2
    assert says in run.err


def test_a_file_that_is_no_certificate_is_misuse(call: Call, firm: Path, tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(b"\xff\xfe no json")
    for file in (tmp_path / "c", tmp_path / "none", tmp_path):
        run = call("verify-erasure", firm, file, "--as", OLGA)
        assert run.code == 2, run
        assert "certificate:" in run.err
