"""Phrases and prefixes find what looking at every word of every readable passage finds, bit for bit."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import ringfence
from ringfence.reader import Reader
from ringfence_governance import block_opening, index_reading, row_map
from ringfence_governance.drafts import ChunkDraft, DocumentDraft
from ringfence_governance.errors import InvalidInput
from ringfence_governance.reading import Answer, GrantedReader
from ringfence_governance.terms import NO_STEMMING, terms
from ringfence_retrieval.questions import Question
from ringfence_retrieval.results import SearchResult
from ringfence_retrieval.scoring import cosine_scores
from ringfence_retrieval.search import search, search_many
from ringfence_retrieval.text_scoring import K1, B

from . import worlds
from .every_row import BOB, HAL, NAMES, fused, ranked
from .worlds import World, copy_world, subject, vector

NOBODY = "acme/user:nobody"
PEOPLE = (HAL, BOB, NOBODY)
WORDS = ["contract", "contracts", "of", "sale", "the", "to", "be", "contrast", "Buyer’s", "Ｓａｌｅ", "über"]
WEIGHTS = [3, 1, 5, 3, 2, 2, 2, 2, 1, 1, 1]
QUESTIONS: list[tuple[str, list[str], list[str]]] = [
    ('"contract of sale"', ["contract of sale"], []),
    ("the “Contracts, of SALE!” buyer", ["contract of sale"], []),
    ('"to be the" "of sale" contract', ["to be the", "of sale"], []),
    ('"to to"', ["to to"], []),
    ('"of of of sale"', ["of of of sale"], []),
    ('"the"', ["the"], []),
    ('"über"', ["über"], []),
    ("contr* of", [], ["contr"]),
    ("contra* contr* sale", [], ["contra", "contr"]),
    ("B* üb*", [], ["b", "üb"]),
    ('"of sale" contr*', ["of sale"], ["contr"]),
    ('"sale of nothing"', ["sale of nothing"], []),
    ('"nothing of the sort"', ["nothing of the sort"], []),
    ("nothing*", [], ["nothing"]),
]
"""A question, and what its phrases and prefixes are."""


def draft(path: str, text: str, label: str, language: str = "english") -> DocumentDraft:
    """A document whose chunks are its lines, with the words that ingest gives them."""
    made = worlds.draft(path, text, label)
    chunks = [
        ChunkDraft(
            each.start, each.end, each.text, each.vector, tuple(terms(each.text, language)), each.tokens
        )
        for each in made.chunks
    ]
    return dataclasses.replace(made, chunks=tuple(chunks))


def phrased(filled: World, folder: Path) -> World:
    """Return a closed store of forty documents under three labels, every word in every order."""
    world = copy_world(filled, folder)
    dice = random.Random(9)
    for first in (0, 20):
        pages = []
        for number in range(first, first + 20):
            text = "\n".join(" ".join(dice.choices(WORDS, WEIGHTS, k=dice.randint(1, 9))) for _ in range(5))
            pages.append(draft(f"{number}.txt", text, NAMES[number % 3]))
        world.put(*pages, who="acme/user:dex")
    world.door.close()
    return world


@pytest.fixture(scope="module", params=["sealed", "indexed"])
def template(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    name = "filled_template" if request.param == "sealed" else "indexed_filled_template"
    return phrased(request.getfixturevalue(name), tmp_path_factory.mktemp("phrased"))


@pytest.fixture
def world(template: World, tmp_path: Path) -> Iterator[World]:
    world = copy_world(template, tmp_path / "world")
    yield world
    world.door.close()


def follow(held: Sequence[str], run: Sequence[str]) -> bool:
    return any(list(held[start : start + len(run)]) == list(run) for start in range(len(held)))


def begins(word: str, prefix: str) -> bool:
    return word.startswith(terms(prefix, NO_STEMMING)[0]) or word == terms(prefix)[0]


def exhaustive(
    world: World, who: str, question: Question, phrases: list[str], prefixes: list[str]
) -> dict[str, float]:
    """Return the hits of a question, best first, from the words of every readable passage."""

    def work(reader: GrantedReader) -> Answer[dict[str, float]]:
        chunks = reader.chunks(vectors=True, terms=True)
        assert chunks.vectors is not None
        assert chunks.terms is not None
        held = dict(zip(chunks.ids, chunks.terms, strict=True))
        near = cosine_scores(chunks.vectors, vector(question.text)).tolist() if len(chunks) else []
        plain = question.text
        for prefix in prefixes:
            plain = plain.replace(f"{prefix}*", "").replace(f"{prefix.upper()}*", "")
        worded = by_words(held, sorted({*terms(plain), *(f"{prefix}*" for prefix in prefixes)}))
        fit = {row for row, words in held.items() if all(follow(words, terms(each)) for each in phrases)}
        meaning = {row: score for row, score in zip(chunks.ids, near, strict=True) if row in fit}
        words = {row: score for row, score in worded.items() if score > 0.0 and row in fit}
        scores = words if question.mode == "text" else fused([ranked(meaning), ranked(words)])
        return Answer([], lambda as_of: {row: scores[row] for row in ranked(scores)})

    return world.door.read(subject(who), "list", work, at=question.at)


def by_words(held: dict[str, Sequence[str]], wanted: list[str]) -> dict[str, float]:
    """BM25 over the rows given, by the formula; what a prefix covers counts as one word."""
    scores = dict.fromkeys(held, 0.0)
    total = sum(map(len, held.values()))
    for word in wanted:
        counts = {
            row: sum(begins(each, word[:-1]) if word[-1] == "*" else each == word for each in words)
            for row, words in held.items()
        }
        holding = sum(1 for count in counts.values() if count)
        idf = math.log(1.0 + (len(held) - holding + 0.5) / (holding + 0.5))
        for row, count in counts.items():
            if count:
                norm = K1 * (1.0 - B + B * len(held[row]) / (total / len(held)))
                scores[row] += idf * count * (K1 + 1.0) / (count + norm)
    return scores


def ask(world: World, who: str, query: str, k: int = 1000, mode: Any = "text", **more: Any) -> SearchResult:
    return search(world.door, subject(who), Question(query, k, mode, **more), vector)


def agree(world: World, *, by_index: bool = False) -> int:
    found = 0
    for who in PEOPLE:
        for query, phrases, prefixes in QUESTIONS:
            for mode in ("text", "hybrid"):
                result = ask(world, who, query, mode=mode, explain=True)
                question = Question(query, 1000, mode)  # type: ignore[arg-type]
                expected = exhaustive(world, who, question, phrases, prefixes)
                assert [(hit.id, hit.score) for hit in result] == list(expected.items()), (who, query, mode)
                assert result.matching == len(expected) or (mode == "hybrid" and not phrases)
                assert result.complete
                assert result.plan is not None
                asks_index = by_index and not prefixes and result.readable
                assert (result.plan["name"] == "index") is bool(asks_index)
                assert [" ".join(each) for each in result.plan.get("phrases", [])] == [
                    " ".join(terms(each)) for each in phrases
                ]
                assert sorted(result.plan.get("prefixes", [])) == sorted(prefixes)
                found += len(expected)
    return found


def test_hits_scores_and_order_are_those_of_looking_at_every_word(world: World) -> None:
    assert agree(world) > 500


def test_that_holds_when_only_a_few_rows_fit_into_memory(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then an indexed store asks its index which rows hold the words, and looks at each row if it is to say how
    words begin, which no index knows."""
    monkeypatch.setattr(row_map, "PART_ROWS_MAX", 7)
    monkeypatch.setattr(index_reading, "ROWS_OPENED_AT_ONCE", 5)
    world.ground.resident.limit(0)
    agree(world, by_index=world.ground.tables.mode.indexed)


def test_pages_groups_facets_a_least_score_and_questions_together_work_as_with_words(world: World) -> None:
    for query, mode in (('"of sale" contr*', "text"), ('"of sale" contr*', "hybrid"), ("contr*", "text")):
        whole = ask(world, HAL, query, mode=mode)
        assert len(whole) > 8
        pages, cursor = [], None
        while not pages or cursor:
            page = ask(world, HAL, query, 3, mode, cursor=cursor)
            pages += list(page)
            cursor = page.cursor
        assert pages == list(whole)
        best = list({hit.document: hit for hit in reversed(whole)}.values())[::-1]
        grouped = ask(world, HAL, query, mode=mode, group_by="document", facets=["source_kind"])
        assert {hit.id for hit in grouped} == {hit.id for hit in best}
        assert grouped.matching == len(best)
        assert grouped.facets is not None
        assert sum(grouped.facets["source_kind"].counts.values()) == len(best)
        least = whole[4].score
        assert [hit.id for hit in ask(world, HAL, query, mode=mode, min_score=least)] == [
            hit.id for hit in whole if hit.score >= least
        ]
        where = ringfence.field("path").isin([hit.source.path for hit in whole[:3]])
        filtered = ask(world, HAL, query, where=where)
        assert {hit.id: hit.score for hit in filtered} == {
            hit.id: hit.score
            for hit in ask(world, HAL, query)
            if hit.source.path in {h.source.path for h in whole[:3]}
        }
    asked = [Question(query, 4, mode) for query, _, _ in QUESTIONS for mode in ("text", "hybrid", "vector")]  # type: ignore[arg-type]
    alone = [search(world.door, subject(HAL), each, vector) for each in asked]
    assert list(search_many(world.door, subject(HAL), asked, vector)) == alone


def test_a_cursor_of_a_phrase_goes_on_with_no_other_syntax(world: World) -> None:
    page = ask(world, HAL, '"of sale"', 1)
    with pytest.raises(InvalidInput, match="cursor"):
        ask(world, HAL, '"of sale"', 1, cursor=page.cursor, syntax="plain")


def test_plain_text_and_questions_by_meaning_know_no_operator(world: World) -> None:
    for query, _, _ in QUESTIONS:
        text = query.replace('"', " ").replace("*", " ").replace("“", " ").replace("”", " ")
        plain = ask(world, HAL, query, syntax="plain", explain=True)
        assert list(plain) == list(ask(world, HAL, text))
        assert plain.plan is not None
        assert not {"phrases", "prefixes"} & set(plain.plan)
        near = ask(world, HAL, query, mode="vector", explain=True)
        assert list(near) == list(ask(world, HAL, query, mode="vector", syntax="plain"))
        assert near.plan is not None
        assert not {"phrases", "prefixes"} & set(near.plan)


def test_an_earlier_time_is_asked_for_a_phrase_as_now(world: World) -> None:
    world.clock.advance(10)
    query, phrases, prefixes = QUESTIONS[10]
    before = ask(world, HAL, query)
    then = before and world.clock().strftime("%Y-%m-%dT%H:%M:%SZ")
    world.clock.advance(10)
    world.put(draft("0.txt", "another contract of sale", NAMES[0]), who="acme/user:dex")
    assert [hit.id for hit in ask(world, HAL, query)] != [hit.id for hit in before]
    asked = Question(query, 1000, "text", at=str(then))
    found = search(world.door, subject(HAL), asked, vector)
    assert {hit.id: hit.score for hit in found} == exhaustive(world, HAL, asked, phrases, prefixes)
    assert found.hits


def test_a_context_is_of_passages_that_hold_the_phrase(world: World) -> None:
    reader = Reader(world.door, subject(HAL), vector)
    found = reader.context('"contract of sale"', 100_000, 1000)
    hits = {hit.id for hit in reader.search('"contract of sale"', 1000)}
    assert {chunk for passage in found for chunk in passage.citation.chunks} <= hits
    assert found.found == len(hits) > 0
    assert len(reader.context('"contract of sale"', 100_000, 1000, syntax="plain")) > len(found)
    nothing = reader.context('"sale of nothing"')
    assert (len(nothing), nothing.limit) == (0, "found")


# Words of a text: languages, scripts, marks, the edges of a passage.

TEXTS = [
    ("german", "Der Kaufvertrag über das Haus", '"Kaufverträge über das Häuser"', True),
    ("german", "Der Kaufvertrag über das Haus", '"über Kaufvertrag"', False),
    ("german", "Das Häusermeer der Städte", "häus*", True),
    ("german", "Das Häusermeer der Städte", "Städ*", True),
    ("french", "le contrat de vente de l’immeuble", '"contrats de vente"', True),
    ("french", "le contrat de vente de l’immeuble", '"de l\'immeuble"', True),
    ("russian", "договор купли-продажи дома", '"договора купли продажи"', True),
    ("russian", "договор купли-продажи дома", "дого*", True),
    ("english", "to be, or not to be", '"be or not"', True),
    ("english", "to be, or not to be", '"to be to"', False),
    ("english", "It ends here. Of sale it begins", '"here of sale"', True),
    ("english", "a con\u00adtract of\u00a0sale", '"contract of sale"', True),
    ("english", "ＣＯＮＴＲＡＣＴ of ſale", '"contract of sale"', True),
    ("english", "cafe\u0301 terrace", '"café terrace"', True),
    ("english", "売買契約を締結した", '"売買契約"', True),
    ("english", "売買を契約した", '"売買契約"', False),
    ("english", "売買契約を締結した", "売* x", True),
    ("english", "สัญญาซื้อขายบ้าน", '"ซื้อขาย"', True),
    ("hindi", "बिक्री का अनुबंध", '"का अनुबंध"', True),
    ("arabic", "عقد البيع النهائي", '"عقد البيع"', True),
    ("none", "the contracts of sale", '"contract of sale"', False),
    ("none", "the contracting parties", "contracti*", True),
    ("english", "the contract of\nsale and more", '"contract of sale"', False),
    ("english", "the contract of\nsale and more", '"sale and"', True),
]


def test_a_phrase_is_of_any_language_and_stands_in_one_passage(world: World) -> None:
    for number, (language, text, query, held) in enumerate(TEXTS):
        path = f"text{number}.txt"
        world.put(draft(path, text, NAMES[0], language), who="acme/user:dex")
        for mode in ("text", "hybrid"):
            found = ask(
                world, HAL, query, mode=mode, language=language, where=ringfence.field("path") == path
            )
            by_text = [hit for hit in found if mode == "text" or '"' in query]
            assert bool(by_text) is held or (mode == "hybrid" and "*" in query), (language, text, query)


# What is found where nothing may be read, and what the record says.


def test_a_phrase_that_only_hidden_passages_hold_is_answered_as_one_that_nobody_does(world: World) -> None:
    """The words are his own; in this order they stand in a passage he may not read, and in none he may."""
    world.put(draft("hidden.txt", "be contrast sale zebra zebu", "acme/label:payroll"), who="acme/user:dex")
    assert ask(world, HAL, '"be contrast sale zebra"').hits
    told = []
    for query in ('"be contrast sale zebra"', '"be contrast sale zebrb"', "zeb*", "zec*"):
        for mode in ("text", "hybrid"):
            result = ask(world, BOB, query, mode=mode, explain=True)
            plan = {
                name: value
                for name, value in (result.plan or {}).items()
                if name not in ("phrases", "prefixes")
            }
            told.append(
                (mode, result.matching, result.readable, result.complete, plan, result.as_of, len(result))
            )
    assert told[0:2] == told[2:4]
    assert told[4:6] == told[6:8]


def test_no_passage_is_opened_for_a_phrase_but_the_hits(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[int] = []
    honest = block_opening.open_passages

    def counted(ground: Any, grant: Any, sealed: Any) -> Any:
        opened.append(len(sealed))
        return honest(ground, grant, sealed)

    monkeypatch.setattr(block_opening, "open_passages", counted)
    result = ask(world, HAL, '"of sale"', 2)
    assert result.matching > len(result) == 2
    ask(world, HAL, '"sale of nothing"')
    assert opened == [2, 0]


def test_the_record_says_that_there_was_a_phrase_and_names_the_hits_alone(world: World) -> None:
    hits = ask(world, HAL, '"of sale" contr*', 3)
    record = world.records()[-1]
    assert record["plan"] == "exact text, k=3, rows with a word, phrases=1, prefixes=1"
    assert list(record["rows"]) == [hit.id for hit in hits]
    assert "sale" not in str(record)
