"""Gateways' tokens in the database: each process finds what another was given, and a failure is shared."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from checkout.shared_tokens import SharedTokens
from common.errors import Transient
from providers.tokens import Token


def test_those_who_wait_for_a_renewal_that_fails_share_its_failure(database: str) -> None:
    store, tries, start = SharedTokens(), [], threading.Barrier(16)

    def renew() -> Token:
        tries.append(1)
        threading.Event().wait(0.05)  # as long as a call takes
        raise Transient("ovo", "token", "gave no answer in time")

    def ask(_: int) -> str:
        start.wait()
        with pytest.raises(Transient) as error:
            store.current("ovo", renew)
        return str(error.value)

    with ThreadPoolExecutor(16) as pool:
        said = list(pool.map(ask, range(16)))
    assert len(said) == 16
    assert len(tries) == 1


@pytest.mark.parametrize("life", [900, 60, 30])
def test_a_token_is_kept_for_all_processes_however_short_it_lives(database: str, life: int) -> None:
    made = []

    def renew() -> Token:
        made.append(1)
        return Token.lasting(f"token-{len(made)}", life)

    processes = [SharedTokens() for _ in range(3)]
    assert [one.current("ovo", renew) for one in processes * 2] == ["token-1"] * 6
    assert [one.current("ovo", renew, refused="token-1") for one in processes] == ["token-2"] * 3
