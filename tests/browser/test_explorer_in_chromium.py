"""The pages to look at, as a real browser shows them: `make test-browser` runs this, and needs Chromium."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import ringfence
from ringfence.explorer.serving import Explorer

pytestmark = pytest.mark.browser

NAMES = ("chromium", "chromium-browser", "google-chrome")
ADA, BOB, OLGA = (f"acme/user:{name}" for name in ("ada", "bob", "olga"))
HOSTILE = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>.txt"
CANARY = "forty pumps at a floor price"
TIMEOUT_S = 120
WIDTH, HEIGHT = 1400, 1600


@pytest.fixture(scope="module")
def chromium() -> str:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    assert found, f"found none of {', '.join(NAMES)}; expected Chromium: apt-get install chromium"
    return found


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ringfence.Store]:
    with ringfence.create(tmp_path_factory.mktemp("shown") / "store", admin=ADA, embedder="hash") as made:
        label = ringfence.Label.from_mapping({"owner": BOB, "readers": ["acme/user:carl"]})
        text = "\n\n".join(f"{n}: we offered {CANARY}. {'word ' * 200}" for n in range(5))
        made.ingest([ringfence.Document(HOSTILE, text, label=label)], as_user=ADA)
        (offer,) = made.as_user(BOB).list()
        made.as_user(ADA).grant(BOB, "ingest", "*", why="he writes notes")
        for name in ("note.txt", "summary.txt"):
            document = ringfence.Document(name, "In short.", label=label, parents=(offer.id,))
            assert not made.ingest([document], as_user=BOB).failed
        made.as_user(ADA).grant(OLGA, "audit", "*", why="the audit of May", ticket="T-5")
        made.as_user(BOB).search("pump")
        made.as_user("acme/user:carl").text(offer.id)
        yield made


@pytest.fixture(scope="module")
def offer(store: ringfence.Store) -> str:
    return next(each.id for each in store.as_user(BOB).list() if each.path == HOSTILE)


def shown(chromium: str, address: str, folder: Path) -> tuple[str, str, Path]:
    """Return a page's elements after the browser made them, what it complained of, and a picture."""
    picture = folder / "page.png"
    options = [
        *(
            "--headless=new",
            "--disable-gpu",
            "--hide-scrollbars",
            "--no-first-run",
            "--disable-dev-shm-usage",
        ),
        *(f"--user-data-dir={folder / 'profile'}", f"--window-size={WIDTH},{HEIGHT}"),
        *("--enable-logging=stderr", "--virtual-time-budget=5000", f"--screenshot={picture}", "--dump-dom"),
        # As root there is no sandbox to be had.
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
    ]
    done = subprocess.run(
        [chromium, *options, address], capture_output=True, text=True, timeout=TIMEOUT_S, check=True
    )
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line), picture


def size(picture: Path) -> tuple[int, int]:
    """Width and height of a PNG."""
    head = picture.read_bytes()[:24]
    assert head.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", head[16:24])
    return width, height


@pytest.mark.parametrize("who", [BOB, OLGA])
def test_a_page_is_drawn_runs_no_script_and_breaks_no_rule_of_its_own(
    who: str, chromium: str, store: ringfence.Store, offer: str, tmp_path: Path
) -> None:
    explorer = Explorer(store.as_user(who))
    explorer.start()
    try:
        way = "read" if who == BOB else "audit"
        elements, complaints, picture = shown(chromium, f"{explorer.address}{way}?id={offer}", tmp_path)
    finally:
        explorer.close()
    if folder := os.environ.get("RINGFENCE_TEST_PICTURES"):
        shutil.copy(picture, Path(folder) / f"explorer-{way}.png")
    # The browser says so on its console when a page asks for what its policy forbids.
    assert complaints == ""
    assert "<title>taken</title>" not in elements
    assert "<script" not in elements
    assert elements.count("<svg") == (1 if who == BOB else 2)
    # The source, the offer, its passages, the two notes and their passages.
    assert elements.count('class="node') >= 6
    assert "passages" in elements
    assert CANARY not in elements
    assert size(picture) == (WIDTH, HEIGHT)
    # A page that is only text, or blank, is a tenth of it.
    assert picture.stat().st_size > 30_000
