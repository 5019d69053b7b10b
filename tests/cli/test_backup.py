"""A store that is put back from a copy: what docs/cli.md says of backups."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

Call = Callable[..., Any]

ADMIN, INGESTER = "acme/user:ada", "acme/user:ingester"
HASH = ["--embedder", "hash"]
WHY = ["--why", "a test"]


def paths(call: Call, store: Path, subject: str, env: dict[str, str]) -> set[str]:
    found = call("list", store, "--as", subject, "--json", env=env).json
    return {each["path"] for each in found["documents"]}


def test_an_older_store_under_the_newest_keys_has_nothing_of_what_was_erased_and_the_rights_of_then(
    call: Call, tmp_path: Path
) -> None:
    env = {"RINGFENCE_HOME": str(tmp_path / "home")}
    store, backup, files = tmp_path / "store", tmp_path / "backup", tmp_path / "files"
    files.mkdir()
    for name in ("a.txt", "b.txt"):
        (files / name).write_text(f"The pump of {name}.\n", "utf-8")
    assert call("init", store, "--admin", INGESTER, env=env).code == 0
    rule = ["acme/user:carl", "read", "*"]
    assert call("grant", store, *rule, "--as", INGESTER, *WHY, env=env).code == 0
    assert call("ingest", store, files, "--as", INGESTER, *HASH, env=env).code == 0
    shutil.copytree(store, backup)
    keys = tmp_path / "home" / json.loads((store / "store.json").read_text("utf-8"))["store"]
    shutil.copytree(keys, tmp_path / "old" / keys.name)

    listed = call("list", store, "--as", INGESTER, "--json", env=env).json["documents"]
    gone = next(each["id"] for each in listed if each["path"] == "a.txt")
    assert call("erase", store, gone, "--as", INGESTER, *WHY, env=env).code == 0
    assert call("revoke", store, *rule, "--as", INGESTER, *WHY, env=env).code == 0
    assert paths(call, store, "acme/user:carl", env) == set()

    shutil.rmtree(store)
    shutil.copytree(backup, store)
    assert paths(call, store, "acme/user:carl", env) == {"b.txt"}

    # Of an older store and older keys together nothing knows of the erasure.
    shutil.copytree(backup, tmp_path / "apart")
    old = {"RINGFENCE_HOME": str(tmp_path / "old")}
    assert paths(call, tmp_path / "apart", INGESTER, old) == {"a.txt", "b.txt"}


def test_an_older_store_under_the_keys_of_its_time_and_the_newest_erasures_has_all_but_what_was_erased(
    call: Call, tmp_path: Path
) -> None:
    env = {"RINGFENCE_HOME": str(tmp_path / "home")}
    store, backup, files = tmp_path / "store", tmp_path / "backup", tmp_path / "files"
    files.mkdir()
    for name in ("a.txt", "b.txt", "c.txt"):
        (files / name).write_text(f"The pump of {name}.\n", "utf-8")
    assert call("init", store, "--admin", INGESTER, env=env).code == 0
    assert call("ingest", store, files, "--as", INGESTER, *HASH, env=env).code == 0
    keys = tmp_path / "home" / json.loads((store / "store.json").read_text("utf-8"))["store"]
    shutil.copytree(store, backup)
    shutil.copytree(keys, tmp_path / "old")

    listed = call("list", store, "--as", INGESTER, "--json", env=env).json["documents"]
    ids = {each["path"]: each["id"] for each in listed}
    assert call("erase", store, ids["a.txt"], "--as", INGESTER, *WHY, env=env).code == 0
    (files / "a.txt").unlink()
    (files / "b.txt").write_text("The pump of b, written anew.\n", "utf-8")
    assert call("ingest", store, files, "--as", INGESTER, *HASH, env=env).code == 0
    shutil.rmtree(store)
    shutil.copytree(backup, store)

    # With the newest keys: what stands unchanged opens, what was written anew says what to do.
    assert call("why", store, ids["c.txt"], "--as", INGESTER, env=env).code == 0
    run = call("list", store, "--as", INGESTER, "--json", env=env)
    assert run.code == 1
    assert "put back the keys.db of their time" in run.json["error"]["hint"]

    shutil.rmtree(store)
    shutil.copytree(backup, store)
    for file in keys.glob("keys.db*"):
        file.unlink()
    shutil.copy2(tmp_path / "old" / "keys.db", keys / "keys.db")
    assert paths(call, store, INGESTER, env) == {"b.txt", "c.txt"}
    search = ["search", store, "pump", "--as", INGESTER, "--mode", "text", "--json", *HASH]
    texts = {hit["text"].strip() for hit in call(*search, env=env).json["hits"]}
    assert texts == {"The pump of b.txt.", "The pump of c.txt."}


def test_keys_older_than_the_store_are_refused(call: Call, tmp_path: Path) -> None:
    env = {"RINGFENCE_HOME": str(tmp_path / "home")}
    store = tmp_path / "store"
    assert call("init", store, "--admin", INGESTER, env=env).code == 0
    keys = tmp_path / "home" / json.loads((store / "store.json").read_text("utf-8"))["store"]
    shutil.copytree(keys, tmp_path / "old" / keys.name)
    (tmp_path / "a.txt").write_text("The pump.\n", "utf-8")
    assert call("ingest", store, tmp_path / "a.txt", "--as", INGESTER, *HASH, env=env).code == 0
    run = call("list", store, "--as", INGESTER, "--json", env={"RINGFENCE_HOME": str(tmp_path / "old")})
    assert run.code == 1
    assert "as new as the store" in run.json["error"]["hint"]
