"""The words of the learner's page: both languages have every one, with the same names in it."""

import re
from string import Formatter

import pytest

from api import learner_words
from api.rendering import ROOM
from credentials import share_outcomes


def names(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_both_languages_have_every_word() -> None:
    indonesian, english = (learner_words.WORDS[language] for language in learner_words.LANGUAGES)
    assert list(indonesian) == list(english)
    assert all(names(text) == names(english[word]) for word, text in indonesian.items())
    assert all(text.strip() for words in (indonesian, english) for text in words.values())


def test_every_word_of_the_templates_and_every_reason_is_there() -> None:
    known = learner_words.WORDS["id"]
    for template in (ROOM / "templates").glob("learner_*.html"):
        used = re.findall(r'say\("([A-Za-z_]+)"(?:[,)])', template.read_text(encoding="utf-8"))
        assert set(used) <= set(known), template.name
    reasons = (
        share_outcomes.AGAIN,
        share_outcomes.NOT_CONNECTED,
        share_outcomes.NOT_ALLOWED,
        share_outcomes.NO_CONSENT,
    )
    for reason in (
        *reasons,
        share_outcomes.REPEATS,
        f"linkedin post: gave no answer in time. {share_outcomes.PERHAPS}",
    ):
        assert learner_words.problem(reason) in known
        assert learner_words.problem(reason) != "problem_other"


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "id"), ("en", "en"), ("en-GB,id;q=0.9", "en"), ("id-ID,en;q=0.9", "id"),
        ("jv;q=0.5,en;q=0.4", "id"),
        ("fr,de", "id"), ("en;q=x,id;q=0.1", "id"), ("en;q=0", "id"), ("*", "id"), ("in", "id"),
    ],
)  # fmt: skip
def test_the_browsers_language_decides(header: str, language: str) -> None:
    assert learner_words.preferred(header) == language
