"""The gateways as a choice in the forms of the Prefect UI."""

from enum import StrEnum


class Wallet(StrEnum):
    """A wallet's gateway."""

    gopay = "gopay"
    ovo = "ovo"
    linkaja = "linkaja"
