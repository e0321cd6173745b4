import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import dkim
import pytest

from library.db import Sessions
from library.errors import InvalidInput
from library.settings import Settings
from notifier.delivery import deliver_due
from notifier.signing import signer_of
from tests.factories import NOON
from tests.notifier.cast import a_digest_for_ada
from tests.notifier.mail_server import MailServer

SELECTOR = "hamkhan2026"


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An RSA key of our own."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a key with")
    path = tmp_path_factory.mktemp("dkim") / "key.pem"
    made = [openssl, "genrsa", "-traditional", "-out", str(path), "2048"]
    subprocess.run(made, check=True, capture_output=True)  # noqa: S603 -- fixed words
    return path


@pytest.fixture
def own(settings: Settings, key: Path) -> Settings:
    return replace(
        settings,
        contact="library@library.test",
        dkim_key=str(key),
        dkim_selector=SELECTOR,
    )


def public(key: Path) -> bytes:
    """Return the record that the DNS would have."""
    told = ["openssl", "rsa", "-in", str(key), "-pubout"]
    pem = subprocess.run(told, check=True, capture_output=True).stdout  # noqa: S603 -- fixed words
    lines = [line for line in pem.splitlines() if not line.startswith(b"-")]
    return b"v=DKIM1; k=rsa; p=" + b"".join(lines)


def is_right(content: bytes, key: Path) -> bool:
    def looked_up(name: bytes, timeout: int = 5) -> bytes:
        assert name == f"{SELECTOR}._domainkey.library.test.".encode()
        return public(key)

    return bool(dkim.verify(content, dnsfunc=looked_up))


def sent(sessions: Sessions, settings: Settings) -> bytes:
    a_digest_for_ada(sessions, settings)
    with MailServer() as server:
        reached = replace(settings, smtp_url=server.url)
        assert deliver_due(sessions, reached, at=NOON, worker="w1").sent == 1
    return server.taken[0].content


def test_a_signature_covers_what_one_click_acts_on(
    sessions: Sessions, own: Settings, key: Path
) -> None:
    content = sent(sessions, own)

    assert is_right(content, key)
    for header in (b"List-Unsubscribe:", b"List-Unsubscribe-Post:", b"From:"):
        assert header in content
        assert not is_right(content.replace(header, header + b" x"), key)
    assert not is_right(content + b"one line more\r\n", key)


def test_without_a_key_nothing_is_signed(
    sessions: Sessions, settings: Settings
) -> None:
    assert signer_of(settings) is None
    assert b"DKIM-Signature" not in sent(sessions, settings)


@pytest.mark.parametrize("wrong", ["no selector", "no file", "no key"])
def test_a_key_that_cannot_be_used_is_named(
    own: Settings, tmp_path: Path, wrong: str
) -> None:
    if wrong == "no selector":
        own = replace(own, dkim_selector="")
    elif wrong == "no file":
        own = replace(own, dkim_key=str(tmp_path / "nowhere.pem"))
    else:
        (tmp_path / "key.pem").write_text("no key at all")
        own = replace(own, dkim_key=str(tmp_path / "key.pem"))

    with pytest.raises(InvalidInput, match="HAMKHAN_DKIM_"):
        signer_of(own)
