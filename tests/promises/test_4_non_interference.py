"""Promise 4: non-interference.

A reader's answer is what it would be if the data he may not read did not
exist. Two stores: the firm's own, and its twin, which holds his rows with
their ids and nothing else. Everything he can get is compared byte for byte.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from typer.main import get_command

from ringfence.cli import app
from ringfence_governance import as_of, errors
from ringfence_governance.labels import Label
from ringfence_governance.readable_rows import ReadableRows
from ringfence_retrieval import ranking, scoring, syntax, text_scoring

from .random_firm import AGENTS, EDGES, PEOPLE, STRANGER, Asker, Firm
from .reader_questions import COMMANDS_WITHOUT_A_STORE, MODES, bytes_of, cli_answer, commands, sdk_answers
from .seeded_store import Page, SeededStore, bundle
from .twin_stores import twin

SEED = int(os.environ.get("PROMISES_SEED") or random.SystemRandom().randrange(2**32))
"""Another one each time; a failure prints it, and `PROMISES_SEED=N` plays the same firms again."""

FIRMS = 3
CHANGES = 25
READERS_PER_FIRM = 2


def firm_with_history(folder: Path, seed: int) -> Firm:
    """Make a firm that others have changed and read, and where nobody else than the auditor may audit.

    Its time is then that of the machine: a command of its own process knows no other,
    and what is readable now need not have been so at the last moment of its history.
    """
    firm = Firm.make(folder, seed, unwanted=(", audit,",))
    for _ in range(CHANGES):
        firm.change()
        reader = firm.asker()
        firm.store.reader(reader.person, via=reader.chain[1:], purpose=reader.purpose).search("offer")
    firm.store.clock.set(datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    assert firm.now > max(EDGES), "a time bound of a made-up firm would pass while it is compared"
    return firm


def askers(firm: Firm, count: int) -> list[Asker]:
    """Return readers from whom something is hidden: first those who may read most, then one agent's."""
    everybody = [Asker((person,), purpose) for person in [*PEOPLE, STRANGER] for purpose in ("", "care")]
    everybody += [Asker((person, agent), "care") for person in PEOPLE for agent in AGENTS]
    firm.dice.shuffle(everybody)
    hidden = [each for each in everybody if len(firm.readable(each)) < len(firm.documents)]
    return sorted(hidden, key=lambda each: -len(firm.readable(each)))[:count]


def ids_of(firm: Firm) -> list[str]:
    """Return ids of documents and passages that are, and of documents that were, whoever may read them."""
    return [document.document_id for document in firm.documents] + firm.removed[-1:]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[tuple[Firm, Asker, SeededStore]]]:
    """Firms, a reader of each, and the twin of the firm's store for him."""
    made = []
    for number in range(FIRMS):
        firm = firm_with_history(tmp_path_factory.mktemp("firm"), SEED + number)
        for asker in askers(firm, READERS_PER_FIRM):
            made.append((firm, asker, twin(firm, asker, tmp_path_factory.mktemp("twin"))))
    yield made
    for firm, _, store in made:
        firm.store.close()
        store.close()


def test_every_verb_gives_a_reader_the_same_bytes_in_both_stores(
    pairs: list[tuple[Firm, Asker, SeededStore]],
) -> None:
    seen: Counter[str] = Counter()
    for firm, asker, other in pairs:
        ids = ids_of(firm)
        readers = [
            store.reader(asker.person, via=asker.chain[1:], purpose=asker.purpose)
            for store in (firm.store, other)
        ]
        for (name, found), (_, expected) in zip(*(sdk_answers(each, ids) for each in readers), strict=True):
            assert found == expected, f"PROMISES_SEED={SEED}: {asker}: {name}"
            seen["raised" if found.startswith(b'["raised"') else "answered"] += 1
        seen["readable"] += len(firm.readable(asker))
        seen["hidden"] += len(firm.documents) - len(firm.readable(asker))
    assert min(seen.values()) >= FIRMS, seen
    assert seen["answered"] > 50, seen


def test_every_command_gives_a_reader_the_same_bytes_in_both_stores(
    pairs: list[tuple[Firm, Asker, SeededStore]],
) -> None:
    firm, asker, other = pairs[0]
    ids = ids_of(firm)[:6]
    codes: Counter[int] = Counter()
    asked = set()
    for words in commands(asker, ids):
        found = cli_answer(words, firm.store.path, firm.store.home)
        assert found == cli_answer(words, other.path, other.home), f"PROMISES_SEED={SEED}: {asker}: {words}"
        assert json.loads(found[1]), words
        codes[found[0]] += 1
        asked.add(" ".join(words[: words.index("STORE")]))
    assert set(codes) == {0, 1, 2}, codes
    assert asked | COMMANDS_WITHOUT_A_STORE == all_commands()


def all_commands() -> set[str]:
    """Return the name of every command there is, so that a new one is compared too."""
    names = set()
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        below = getattr(command, "commands", None)
        names |= {f"{name} {inner}" for inner in below} if below else {name}
    return names


UNREADABLE = ("0" * 32, "f" * 32, "hr/letter.txt", "")


def test_a_reader_who_writes_gets_the_same_summary_and_answers_in_both_stores(tmp_path: Path) -> None:
    """He writes bytes equal to a hidden document, under a wider label; nothing he is told depends on it."""
    mine = Label("a", "a/user:rita")
    theirs = Label("a", "a/user:dora")
    policy = bundle(["p, a/user:rita, a, *, ingest, owner, *, -, -, allow"])
    told = []
    for hidden in (True, False):
        store = SeededStore.create(tmp_path / str(hidden), policy, "a/user:ada", seed=7)
        if hidden:
            store.write("a/user:ada", [Page("hr/letter.txt", "the raise is nine percent", theirs)], step=1)
        files = [Page("guess.txt", "the raise is nine percent", mine), Page("own.txt", "my own words", mine)]
        with store.ingestion("a/user:rita", source_name="home", step=2) as ingestion:
            states = [ingestion.state(each.path, each.draft().sha256, mine) for each in files]
            ids = [ingestion.put(each.draft()) for each in files]
        with store.ingestion("a/user:rita", source_name="home", step=3) as ingestion:
            states += [ingestion.state(each.path, each.draft().sha256, mine) for each in files]
            states += [sorted(ingestion.paths()), ingestion.relabel("own.txt", mine)]
        reader = store.reader("a/user:rita")
        # Of answers too: one with the bytes of the hidden document, and one of his own words.
        store.randomness.step = 4
        for text in ("the raise is nine percent", "my own words, and more"):
            ids.append(reader.register_answer(text, reader.context("words"), title="hr/letter.txt"))
        states.append(
            [bytes_of(lambda i=found, r=reader: r.register_answer("x", [i])) for found in UNREADABLE]
        )
        answers = list(sdk_answers(reader, ids))
        told.append((states, ids, answers))
        store.close()
    assert told[0] == told[1]


# as_of: equal for equal readable labels and rows, and for nothing less.


@pytest.fixture
def small(tmp_path: Path) -> Iterator[SeededStore]:
    policy = bundle(["p, a/user:ada, a, *, delete, any, *, -, -, allow"])
    store = SeededStore.create(tmp_path, policy, "a/user:ada")
    store.write("a/user:ada", [Page("one.txt", "one pump", OWN), Page("two.txt", "two pumps", OTHERS)])
    yield store
    store.close()


OWN, OTHERS = Label("a", "a/user:rita"), Label("a", "a/user:dora")


def test_as_of_stays_while_others_write_grant_read_and_define(small: SeededStore) -> None:
    reader, admin = small.reader("a/user:rita"), small.reader("a/user:ada")
    before = reader.count()
    small.write("a/user:ada", [Page("three.txt", "three pumps", OTHERS)])
    admin.define_label("a/label:new", OTHERS, why="x")
    admin.grant("a/user:dora", "read", "a/label:new", why="x")
    admin.add_member("a/user:dora", "a/group:g", why="x")
    small.reader("a/user:dora").search("pumps")
    small.clock.advance(1000)
    assert reader.count() == before


def test_as_of_changes_with_the_readers_own_rows_and_labels(small: SeededStore) -> None:
    reader = small.reader("a/user:rita")
    handles = [reader.count().as_of]
    small.write("a/user:ada", [Page("four.txt", "four pumps", OWN)])
    handles.append(reader.count().as_of)
    small.write("a/user:ada", [Page("four.txt", "four pumps more", OWN)])
    handles.append(reader.count().as_of)
    with small.ingestion("a/user:ada") as ingestion:
        assert ingestion.relabel(
            "four.txt", Label("a", "a/user:rita", level=0, denied=frozenset({"a/user:x"}))
        )
    handles.append(reader.count().as_of)
    with small.ingestion("a/user:ada") as ingestion:
        assert ingestion.remove("four.txt")
    handles.append(reader.count().as_of)
    assert len(set(handles[:-1])) == 4
    # What it was made of is as it was at first, so the handle is.
    assert handles[-1] == handles[0]


def test_two_readers_of_the_same_rows_hold_the_same_handle_and_others_another(small: SeededStore) -> None:
    handles = {who: small.reader(who).count().as_of for who in ("a/user:rita", "a/user:dora", STRANGER)}
    assert len(set(handles.values())) == 3
    assert small.reader("a/user:rita", via=()).list().as_of == handles["a/user:rita"]
    assert small.reader("b/user:nobody").list().as_of == handles[STRANGER]


# Scores: each row's own, to the last bit, whatever stands beside it.

ROWS, WIDTH = 2000, 384


@pytest.fixture(scope="module")
def block() -> np.ndarray:
    rows = np.random.default_rng(3).standard_normal((ROWS, WIDTH)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("readable", [0.001, 0.01, 0.3, 0.5, 0.999])
def test_a_vector_score_is_the_same_bits_with_and_without_hidden_rows(
    block: np.ndarray, readable: float
) -> None:
    query = block[17]
    kept = np.random.default_rng(int(readable * 1000)).random(ROWS) < readable
    together = scoring.cosine_scores(block, query)
    assert together[kept].tobytes() == scoring.cosine_scores(block[kept], query).tobytes()


@pytest.mark.parametrize("rows_per_block", [1, 2, 3, 7, 64, 1000, 1999, 2000, 4096])
def test_a_vector_score_is_the_same_bits_however_the_block_is_split(
    block: np.ndarray, rows_per_block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = block[1]
    whole = scoring.cosine_scores(block, query)
    monkeypatch.setattr(scoring, "ROWS_PER_BLOCK", rows_per_block)
    assert scoring.cosine_scores(block, query).tobytes() == whole.tobytes()
    assert scoring.cosine_scores(np.asfortranarray(block), query).tobytes() == whole.tobytes()
    assert scoring.cosine_scores(block[::-1], query)[::-1].tobytes() == whole.tobytes()
    one_by_one = [scoring.cosine_scores(block[row : row + 1], query) for row in range(0, ROWS, 97)]
    assert np.concatenate(one_by_one).tobytes() == whole[::97].tobytes()


def test_what_a_plain_matrix_product_would_do_is_seen(block: np.ndarray) -> None:
    """The comparison above is worth something: the usual routine fails it."""
    kept = np.random.default_rng(5).random(ROWS) < 0.5
    products = [(block @ block[:8].T)[kept], block[kept] @ block[:8].T]
    alone = np.stack([block[row] @ block[:8].T for row in np.flatnonzero(kept)])
    assert products[0].tobytes() != alone.tobytes()


def test_scores_and_order_are_the_same_in_a_store_with_many_hidden_passages(tmp_path: Path) -> None:
    """Eight hundred passages of one reader, alone and among as many hidden ones with the same words."""
    dice = random.Random(11)
    words = ["pump", "valve", "leak", "offer", "seal", "shaft", "rotor", "bearing"]

    def pages(label: Label, folder: str) -> list[Page]:
        texts = [[" ".join(dice.choices(words, k=6)) for _ in range(40)] for _ in range(20)]
        return [Page(f"{folder}/{n}.txt", "\n\n".join(text), label) for n, text in enumerate(texts)]

    visible, hidden = pages(OWN, "own"), pages(OTHERS, "others")
    hidden.append(Page("others/alone.txt", "words of others alone", OTHERS))
    found = []
    for number, written in enumerate(([*visible, *hidden], visible)):
        store = SeededStore.create(tmp_path / str(number), bundle([]), "a/user:ada", seed=1)
        store.write("a/user:ada", written, step=1)
        reader = store.reader("a/user:rita")
        found.append(
            [
                bytes_of(lambda m=mode, q=query, r=reader: r.search(q, 1000, m, explain=True))
                for query in ("pump leak rotor", '"pump leak" rotor', 'ro* "leak" s*', '"others alone" oth*')
                for mode in MODES
            ]
        )
        store.close()
    assert found[0] == found[1]


# The comparison of twins is worth something only if it finds a leak that is there.


LEAKED = {"rows": 0}
"""What a planted leak knows of the store it is in: how many rows its reader may not read."""


def counts_everybodys_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """BM25 over all rows of the store, as a global index has it."""
    honest = text_scoring._idf
    monkeypatch.setattr(text_scoring, "_idf", lambda rows, holding: honest(rows + LEAKED["rows"], holding))


def tells_the_publication_in_the_handle(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = as_of.handle
    monkeypatch.setattr(
        as_of, "handle", lambda ground, grant: f"{honest(ground, grant)}{grant.publication.sequence}"
    )


def breaks_ties_by_place_in_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = ranking._ordered
    monkeypatch.setattr(
        ranking, "_ordered", lambda falling, ids: honest(falling, np.roll(ids, LEAKED["rows"], 0))
    )


def says_which_ids_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another text for a document that exists and may not be read."""
    monkeypatch.setattr(
        errors.NotReadable, "__str__", lambda error: "no such id" if not LEAKED["rows"] else "not for you"
    )


def says_how_many_words_begin_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """How many words a prefix covers, counted over the words of everybody."""
    honest = syntax.Wanted.to_mapping

    def told(wanted: syntax.Wanted) -> dict[str, object]:
        return {**honest(wanted), **({"words": LEAKED["rows"]} if wanted.prefixes else {})}

    monkeypatch.setattr(syntax.Wanted, "to_mapping", told)


def finds_a_phrase_in_everybodys_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A phrase that stands in a hidden passage alone is found in none, but not as one that stands nowhere."""
    honest = ReadableRows.holding_run

    def found(rows: ReadableRows, run: Sequence[str], among: object = None) -> object:
        every = honest(rows, run, among)  # type: ignore[arg-type]
        return np.arange(min(LEAKED["rows"], len(rows))) if not len(every) else every

    monkeypatch.setattr(ReadableRows, "holding_run", found)


Plant = Callable[[pytest.MonkeyPatch], None]


@pytest.mark.parametrize(
    "plant",
    [
        counts_everybodys_words,
        tells_the_publication_in_the_handle,
        breaks_ties_by_place_in_the_store,
        says_which_ids_there_are,
        says_how_many_words_begin_so,
        finds_a_phrase_in_everybodys_rows,
    ],
)
def test_a_planted_leak_is_found(plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    alone, among_others = twins_told(tmp_path, monkeypatch)
    assert alone != among_others


def test_without_one_none_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone, among_others = twins_told(tmp_path, monkeypatch)
    assert alone == among_others


def twins_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, bytes]]]:
    """Yield what a reader is told by a store of his pages alone, and by one with others' among them."""
    pages = [Page(f"own/{n}.txt", f"pump {'valve ' * (n % 3)}leak", OWN) for n in range(6)]
    for hidden in (0, 3):
        monkeypatch.setitem(LEAKED, "rows", hidden)
        store = SeededStore.create(folder / str(hidden), bundle([]), "a/user:ada", seed=1)
        for number in range(hidden):
            store.write("a/user:ada", [Page(f"{number}.txt", "pump", OTHERS)], step=-1 - number)
        ids = store.write("a/user:ada", pages, step=1)
        yield list(sdk_answers(store.reader("a/user:rita"), ids[:2]))
        store.close()
