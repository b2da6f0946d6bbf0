"""The registry: a wallet's gateway by its name. A new one is a module, a section of settings, a line here."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from common.settings import Settings, settings
from providers.base import Gateway
from providers.gopay import GoPay
from providers.linkaja import LinkAja
from providers.ovo import Ovo
from providers.tokens import MemoryTokens, TokenStore

WALLETS: dict[str, Callable[[Settings, TokenStore], Gateway]] = {
    "gopay": lambda config, _: GoPay(config.gopay),
    "ovo": lambda config, tokens: Ovo(config.ovo, tokens),
    "linkaja": lambda config, tokens: LinkAja(config.linkaja, tokens),
}
_OF_THIS_PROCESS = MemoryTokens()


def open_gateway(name: str, tokens: TokenStore | None = None) -> Gateway:
    """The gateway of that name, to be closed by the caller; raises KeyError for no gateway.

    tokens: where access tokens are kept between calls; by default in this process.
    """
    return WALLETS[name](settings(), tokens or _OF_THIS_PROCESS)


@contextmanager
def gateway(name: str) -> Iterator[Gateway]:
    """The gateway of that name, its connections closed at the end; raises KeyError for no gateway."""
    opened = open_gateway(name)
    try:
        yield opened
    finally:
        opened.close()
