from pathlib import Path

import pytest

from library.errors import InvalidInput
from library.runtime import start
from library.settings import Settings


def test_nothing_needs_to_be_set() -> None:
    settings = Settings.from_env({})

    assert settings.database == f"sqlite:///{Path('var').absolute() / 'hamkhan.db'}"


def test_variables_are_read_as_their_kind() -> None:
    settings = Settings.from_env(
        {
            "HAMKHAN_HOME": "/srv/hamkhan",
            "HAMKHAN_DATABASE_URL": "postgresql://db/hamkhan",
            "HAMKHAN_BASE_URL": "https://read.example.org/",
            "HAMKHAN_FETCH_ALLOW": "koha.test:8080, 10.0.0.7:80",
            "HAMKHAN_FLOOR": "0.5",
            "HAMKHAN_ALLOWANCE": "3",
        }
    )

    assert settings.models == Path("/srv/hamkhan/models")
    assert settings.mail == Path("/srv/hamkhan/mail")
    assert settings.database == "postgresql+psycopg://db/hamkhan"
    assert settings.base_url == "https://read.example.org"
    assert settings.mail_domain == "read.example.org"
    assert settings.fetch_allow == ("koha.test:8080", "10.0.0.7:80")
    assert (settings.floor, settings.allowance) == (0.5, 3)


def test_a_value_that_is_no_number_is_named() -> None:
    with pytest.raises(InvalidInput, match="HAMKHAN_ALLOWANCE: 'many' is no number"):
        Settings.from_env({"HAMKHAN_ALLOWANCE": "many"})


def test_the_secret_is_made_once_and_for_the_owner_only(tmp_path: Path) -> None:
    first = start(Settings(home=tmp_path)).settings.secret
    again = start(Settings(home=tmp_path)).settings.secret

    assert first == again
    assert len(first) > 30
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_a_secret_that_is_given_is_kept_nowhere(tmp_path: Path) -> None:
    assert start(Settings(home=tmp_path, secret="given")).settings.secret == "given"
    assert not (tmp_path / "secret").exists()
