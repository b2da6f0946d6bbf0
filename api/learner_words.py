"""What learners read about LinkedIn, in Indonesian and English. Both have every word (tests see to it)."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

from credentials import share_outcomes

Language = Literal["id", "en"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
NAMES = {"id": "Bahasa Indonesia", "en": "English"}
Say = Callable[..., str]

WORDS: dict[Language, dict[str, str]] = tomllib.loads(
    Path(__file__).with_name("learner_words.toml").read_text(encoding="utf-8")
)  # type: ignore[assignment]  # two languages, as the file has them
_MONTHS: dict[Language, tuple[str, ...]] = {
    "id": (
        "Januari", "Februari", "Maret", "April", "Mei", "Juni", "Juli", "Agustus", "September", "Oktober",
        "November", "Desember",
    ),
    "en": (
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
        "November", "December",
    ),
}  # fmt: skip
_PROBLEMS = {
    share_outcomes.AGAIN: "problem_again",
    share_outcomes.NOT_CONNECTED: "problem_not_connected",
    share_outcomes.NOT_ALLOWED: "problem_not_allowed",
    share_outcomes.NO_CONSENT: "problem_no_consent",
    share_outcomes.REPEATS: "problem_repeat",
}
_AFTER = {"id": {"id", "in", "ms", "jv", "su"}, "en": {"en"}}


def say(language: Language) -> Say:
    """Words of a language, by their names."""

    def said(name: str, **values: object) -> str:
        return WORDS[language][name].format(**values)

    return said


def day(language: Language, year: int, month: int, number: int) -> str:
    """A day as people write it."""
    return f"{number} {_MONTHS[language][month - 1]} {year}"


def problem(text: str | None) -> str:
    """The word for why a share is not out, of what the operator reads."""
    if text is None:
        return "problem_other"
    return "problem_perhaps" if share_outcomes.PERHAPS in text else _PROBLEMS.get(text, "problem_other")


def preferred(accept_language: str) -> Language:
    """The language that a browser likes best of ours; Indonesian where it likes neither."""
    best: Language = "id"
    weight = 0.0
    for part in accept_language.lower().split(",")[:20]:
        name, *parameters = (piece.strip() for piece in part.split(";"))
        given = next((piece[2:] for piece in parameters if piece.startswith("q=")), "1")
        try:
            quality = min(1.0, float(given))
        except ValueError:
            continue
        for language in LANGUAGES:
            if name.partition("-")[0] in _AFTER[language] and quality > weight:
                best, weight = language, quality
    return best
