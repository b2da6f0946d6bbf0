"""The API over real HTTP, for every test of credentials."""

from served import address, at  # noqa: F401  # fixtures
