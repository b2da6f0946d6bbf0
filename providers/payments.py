"""The registry: a wallet's gateway by its name."""

from collections.abc import Iterator
from contextlib import contextmanager

from common.settings import settings
from providers.base import Gateway
from providers.gopay import GoPay
from providers.linkaja import LinkAja
from providers.ovo import Ovo


@contextmanager
def gateway(name: str) -> Iterator[Gateway]:
    """The gateway of that name, its connections closed at the end; raises KeyError for no gateway."""
    config = settings()
    opened: Gateway
    match name:
        case "gopay":
            opened = GoPay(config.gopay)
        case "ovo":
            opened = Ovo(name, config.ovo)
        case "linkaja":
            opened = LinkAja(name, config.linkaja)
        case _:
            raise KeyError(name)
    try:
        yield opened
    finally:
        opened.close()
