"""The targets of an export, as the form of Prefect offers them."""

from enum import StrEnum


class Target(StrEnum):
    """Where a credential can go."""

    open_badge = "open_badge"
    europass = "europass"
    linkedin = "linkedin"
