"""LinkedIn's "little text": the characters that mean something in a post, and how they are written plainly.

Source: LinkedIn, "little Text Format". `{hashtag|\\#|Tag}` is a hashtag, `@[Name](urn)` a mention.
"""

import re

RESERVED = frozenset("|{}@[]()<>#\\*_~")
_TEMPLATES = re.compile(
    r"\{hashtag\|\\#\|(?P<tag>(?:[^\\|{}@\[\]()<>#*_~\s]|\\[|{}@\[\]()<>#\\*_~])+)\}"
    r"|@\[(?P<name>(?:[^\\|{}@\[\]()<>#*_~]|\\[|{}@\[\]()<>#\\*_~])+)\]\((?P<urn>urn:li:[a-zA-Z]+:[A-Za-z0-9_-]+)\)"
)


def shown(text: str) -> tuple[str, int | None]:
    """The text as readers see it, up to the first character that is not written plainly; and its place."""
    seen: list[str] = []
    place = 0
    while place < len(text):
        sign = text[place]
        if found := _TEMPLATES.match(text, place):
            seen.append(f"#{found['tag']}" if found["tag"] else found["name"])
            place = found.end()
        elif sign == "\\" and text[place + 1 : place + 2] in RESERVED and place + 1 < len(text):
            seen.append(text[place + 1])
            place += 2
        elif sign in RESERVED:
            return "".join(seen), place
        else:
            seen.append(sign)
            place += 1
    return "".join(seen), None
