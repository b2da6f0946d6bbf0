"""What the local stack raises: one sentence, with a next step."""

from common.errors import NotReachable


class StackError(NotReachable):
    """A part of the local stack cannot start or be reached; the text is ready for a person."""
