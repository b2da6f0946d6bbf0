r"""LinkedIn's "little text": a reserved character that is not escaped cuts a post silently.

Source: LinkedIn, "little Text Format", read 2026-11. A hashtag is a template, `{hashtag|\#|Tag}`.
"""

import re

LONGEST = 3_000  # characters as readers see them
_RESERVED = frozenset("\\|{}@[]()<>#*_~")
# A tag begins a word and has a letter in it: `C#` is no tag, nor is `#1`.
_TAG = re.compile(r"(?<![\w#&])#(?=\w*[^\W\d_])(\w{1,100})")


def little(text: str) -> str:
    """The text so that readers see exactly it; its hashtags are hashtags, and it mentions nobody."""
    parts, at = [], 0
    for tag in _TAG.finditer(text):
        parts += [escaped(text[at : tag.start()]), rf"{{hashtag|\#|{escaped(tag[1])}}}"]
        at = tag.end()
    return "".join([*parts, escaped(text[at:])])


def escaped(text: str) -> str:
    """Plain text, each reserved character behind a backslash."""
    return "".join(f"\\{sign}" if sign in _RESERVED else sign for sign in text)
