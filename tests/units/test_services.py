"""Settings of SIPLatih, LinkedIn and Europass: what is filled in, and where."""

import pytest

from common.settings import Settings


def test_in_the_sandbox_every_service_works_without_a_setting() -> None:
    config = Settings(sandbox_url="http://127.0.0.1:9")
    home = "http://127.0.0.1:9"
    assert config.siplatih.token_url == f"{home}/siplatih/api/v1/oauth/token"
    assert config.siplatih.client_secret.get_secret_value() == "sandbox-siplatih-secret"
    assert config.linkedin.jwks_url == f"{home}/linkedin/oauth/openid/jwks"
    assert config.europass.base_url == f"{home}/europass/api"


def test_production_knows_linkedin_s_addresses_and_nothing_of_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("JEMBATAN_SIPLATIH__BASE_URL", "https://siplatih.example/api/v1/")
    config = Settings(env="production")
    assert config.linkedin.api_url == "https://api.linkedin.com"
    assert config.linkedin.token_url == "https://www.linkedin.com/oauth/v2/accessToken"
    assert config.linkedin.client_id == config.siplatih.client_id == config.europass.base_url == ""
    assert config.siplatih.token_url == "https://siplatih.example/api/v1/oauth/token"


def test_one_process_s_settings_do_not_leak_into_the_next() -> None:
    Settings(sandbox_url="http://127.0.0.1:9")
    assert Settings(sandbox_url="http://127.0.0.1:10").siplatih.base_url.startswith("http://127.0.0.1:10/")
