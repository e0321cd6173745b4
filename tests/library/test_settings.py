from dataclasses import fields
from pathlib import Path

import pytest

from library.errors import InvalidInput
from library.runtime import start
from library.settings import Settings, misspelt


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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("DATABASE_URL", "library", id="a database that is no address"),
        pytest.param("BROKER_URL", "localhost", id="a broker that is no address"),
        pytest.param("SMTP_URL", "mail.test:25", id="a mail server without a scheme"),
        pytest.param("SMTP_URL", "http://mail.test", id="a web server for mail"),
        pytest.param("SMTP_URL", "smtp://mail.test:many", id="a port that is none"),
        pytest.param("BASE_URL", "library.test", id="pages without a scheme"),
        pytest.param("BASE_URL", "", id="no address of the pages"),
        pytest.param("CONTACT", "The Library", id="a sender that is no address"),
        pytest.param("BOUNCE_ADDRESS", "a@b.test, c@d.test", id="two addresses"),
        pytest.param("BOUNCE_MAILBOX", "pop3://mail.test", id="another mailbox"),
        pytest.param("DAILY_BRAKE", "-1", id="less than none"),
        pytest.param("DIGEST_LIMIT", "0", id="digests of nothing"),
        pytest.param("LANGUAGE", "de", id="a language without words"),
        pytest.param("ZONE", "Mars", id="a zone that is none"),
        pytest.param("APP_URL", "ftp://app.test", id="an app that takes no posts"),
    ],
)
def test_a_value_that_cannot_be_is_named_and_not_repeated(
    name: str, value: str
) -> None:
    with pytest.raises(InvalidInput, match=f"HAMKHAN_{name}: wanted is") as refused:
        Settings.from_env({f"HAMKHAN_{name}": value})

    assert refused.value.field == f"HAMKHAN_{name}"
    assert "mail.test" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgresql://u:p@db.test/hamkhan"),
        ("BROKER_URL", "redis://localhost:6379/0"),
        ("SMTP_URL", "smtps://user:p%40ss@mail.test"),
        ("SMTP_URL", ""),
        ("CONTACT", "کتابخانه@نمونه.ایران"),
        ("BOUNCE_MAILBOX", "/var/mail/returned"),
        ("BOUNCE_MAILBOX", "imaps://u:p@mail.test/INBOX"),
        ("ZONE", "Asia/Tehran"),
        ("LANGUAGE", "fa_IR"),
        ("MESSAGE_CAP", "0"),
    ],
)
def test_what_the_docs_say_is_taken(name: str, value: str) -> None:
    assert Settings.from_env({f"HAMKHAN_{name}": value})


def test_defaults_are_what_is_wanted() -> None:
    plain = Settings()
    env = {
        f"HAMKHAN_{f.name.upper()}": str(getattr(plain, f.name))
        for f in fields(Settings)
        if not isinstance(getattr(plain, f.name), tuple)
    }

    assert Settings.from_env(env) == plain


def test_a_name_with_a_slip_is_told_from_what_is_not_ours() -> None:
    given = {
        "HAMKHAN_SMPT_URL": "",
        "HAMKHAN_BASEURL": "",
        "HAMKHAN_TEST_POSTGRESQL": "",
    }

    assert misspelt({**given, "HAMKHAN_ZONE": "UTC", "SMTP_URL": ""}) == {
        "HAMKHAN_SMPT_URL": "HAMKHAN_SMTP_URL",
        "HAMKHAN_BASEURL": "HAMKHAN_BASE_URL",
    }


def test_the_secret_is_made_once_and_for_the_owner_only(tmp_path: Path) -> None:
    first = start(Settings(home=tmp_path)).settings.secret
    again = start(Settings(home=tmp_path)).settings.secret

    assert first == again
    assert len(first) > 30
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_a_secret_that_is_given_is_kept_nowhere(tmp_path: Path) -> None:
    assert start(Settings(home=tmp_path, secret="given")).settings.secret == "given"
    assert not (tmp_path / "secret").exists()
