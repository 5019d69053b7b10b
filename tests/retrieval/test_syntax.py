"""Quotation marks and asterisks are operators where a reader means them so, and text everywhere else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence_governance.errors import InvalidInput
from ringfence_governance.prefixes import prefix_of
from ringfence_governance.terms import languages, terms
from ringfence_retrieval import syntax
from ringfence_retrieval.questions import Question
from ringfence_retrieval.syntax import OPERATORS_MAX, wanted, written


def test_a_phrase_stands_in_straight_or_curled_quotation_marks() -> None:
    for text in ('"contract of sale" buyer', "“contract of sale” buyer", "„contract of sale“ buyer"):
        said = written(text)
        assert said.phrases == ("contract of sale",)
        assert terms(said.text) == terms("contract of sale buyer")
    assert written("„contract of sale” buyer").phrases == ("contract of sale",)
    assert written('the "first one" and the "second"').phrases == ("first one", "second")
    assert written('契約"売買契約"です').phrases == ("売買契約",)


@pytest.mark.parametrize(
    "text",
    [
        '"contract of sale',
        'contract of sale"',
        "“contract of sale",
        "contract of sale”",
        'a 5" pipe and a 6" pipe',
        'rock"n"roll',
        "the tenant's 'contract of sale'",
        "’contract of sale’ `contract` «contract»",
        '"" "…" "?!"',
        "**contract** *of*",
        "select * from contract where a*b = 2*3",
        "src/* *.txt **/*.py * ** contract ***",
        "contract**",
        "",
    ],
)
def test_what_is_no_operator_is_text(text: str) -> None:
    said = written(text)
    assert (said.text, said.phrases, said.prefixes) == (text, (), ())
    assert not said.has_operators


def test_a_prefix_is_a_word_right_before_an_asterisk() -> None:
    assert written("contr* buyer").prefixes == ("contr",)
    assert terms(written("contr* buyer").text) == ["buyer"]
    assert written("(Contr*), naïv*; कि* c*").prefixes == ("Contr", "naïv", "कि", "c")
    assert written("con\u00adtr*").prefixes == ("contr",)
    assert written("e-contr*").prefixes == ("contr",)
    assert terms(written("e-contr*").text) == ["e"]


def test_nothing_is_an_operator_inside_a_phrase() -> None:
    said = written('"contr* of sale" buy*')
    assert (said.phrases, said.prefixes) == (("contr* of sale",), ("buy",))
    assert wanted(said, "english").phrases == (("contr", "of", "sale"),)


def test_words_of_a_phrase_are_looked_for_as_words_too() -> None:
    found = wanted(written('"Contracts of sale" buyer buy*'), "english")
    assert found.phrases == (("contract", "of", "sale"),)
    assert set(found.words) == {"contract", "of", "sale", "buyer"}
    assert [each.text for each in found.prefixes] == ["buy"]
    assert found.to_mapping() == {"phrases": [["contract", "of", "sale"]], "prefixes": ["buy"]}
    assert wanted(written("buyer"), "english").to_mapping() == {}


def test_what_is_said_twice_is_looked_for_once() -> None:
    found = wanted(written('"sale" "Sales" sal* SAL*'), "english")
    assert (found.phrases, found.words, len(found.prefixes)) == ((("sale",),), ("sale",), 1)


def test_too_many_operators_are_refused_and_as_many_as_there_may_be_are_not() -> None:
    most = '"a" b* ' * (OPERATORS_MAX // 2)
    assert Question(most).written.has_operators
    for mode in ("text", "hybrid"):
        with pytest.raises(
            InvalidInput, match="found 101 phrases and prefixes; expected at most 100"
        ) as raised:
            Question(f"{most} c*", mode=mode)  # type: ignore[arg-type]
        assert "plain" in str(raised.value.hint)
    assert not Question(f"{most} c*", mode="vector").written.has_operators
    assert not Question(f"{most} c*", syntax="plain").written.has_operators


def test_a_question_by_meaning_and_a_plain_one_have_no_operators() -> None:
    text = '"contract of sale" buy*'
    for question in (Question(text, mode="vector"), Question(text, syntax="plain")):
        assert question.written == syntax.Written(text)
        assert not question.needs_every_row
    assert Question(text).needs_every_row
    with pytest.raises(InvalidInput, match="syntax: found 'lucene'; expected one of operators, plain"):
        Question(text, syntax="lucene")  # type: ignore[arg-type]


def test_a_cursor_is_of_operators_or_of_text_alone() -> None:
    """The same characters asked for as operators and as text are two questions, with two orders."""
    text = '"contract of sale"'
    assert Question(text).identity != Question(text, syntax="plain").identity
    assert Question("contract of sale").identity == Question("contract of sale", syntax="plain").identity


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("\"“”„*' ab1é契約_-\u00ad\u0301कि"), max_size=40))
def test_any_text_is_read_and_none_of_its_words_is_lost(text: str) -> None:
    said = written(text)
    for language in ("english", "none"):
        found = wanted(said, language)
        prefixes = [word for each in said.prefixes for word in terms(each, language)]
        words = {*found.words, *prefixes}
        # Where an operator stands between two characters of a script without blanks, a pair of them is no word.
        lost = set(terms(text, language)) - words
        assert all(any(letter in "契約" for letter in word) for word in lost)
        assert all(set(phrase) <= set(found.words) for phrase in found.phrases)
    if not said.has_operators:
        assert said.text == text


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(languages()), st.text(min_size=1, max_size=12))
def test_a_prefix_covers_what_the_word_itself_finds(language: str, text: str) -> None:
    before, prefix = prefix_of(text, language)
    found = terms(text, language)
    if prefix is None:
        assert not found
    else:
        assert [*before, prefix.stem] == found
        assert prefix.covers(found[-1])


def test_a_prefix_is_held_to_stems_as_they_are_stored() -> None:
    def covers(text: str, word: str, language: str = "english") -> bool:
        prefix = prefix_of(text, language)[1]
        assert prefix is not None
        return prefix.covers(terms(word, language)[0])

    assert covers("contr", "Contracting")
    assert covers("contracts", "contract")
    assert not covers("contracts", "contractor")
    assert covers("happy", "happiness")
    assert covers("häus", "Häusermeer", "german")
    assert not covers("contract", "contrast")
    # The price of stems: written in docs/decisions/0026-phrases-and-prefixes.md.
    assert not covers("contracti", "contracting")
    assert covers("contracti", "contracting", "none")
