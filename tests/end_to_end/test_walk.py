"""The whole job: from a source to a patron's verdict, and what the next match knows."""

import email
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select

from api.app import create_app
from api.demo.announcements import NewWork
from api.demo.site import Announced, served
from library.db import Sessions, reading
from library.runtime import Runtime
from library.settings import Settings
from library.tables import Feedback, Patron, Work
from tests.command_line import invoke
from tests.end_to_end.libraries import COMET, READERS, RYE, WHEAT, write_library

pytestmark = pytest.mark.slow


@pytest.fixture
def announced() -> list[NewWork]:
    """What the feed tells; a test may add to it."""
    return [COMET]


@pytest.fixture
def site(announced: list[NewWork]) -> Iterator[str]:
    with served(Announced(feed=announced, marc=(RYE,))) as address:
        yield address


@pytest.fixture
def runtime(settings: Settings, sessions: Sessions, site: str) -> Runtime:
    """An installation with its library loaded, that may read from the site."""
    runtime = Runtime(replace(settings, fetch_allow=(urlsplit(site).netloc,)), sessions)
    files = write_library(settings.home / "files")
    agreed = ("--covers-past", "--consent", "history", "--consent", "model")
    _do(runtime, "init")
    _do(runtime, "import", "works", files.works)
    _do(runtime, "import", "patrons", files.patrons, *agreed, "--consent", "alerts")
    _do(runtime, "import", "patrons", files.silent)
    _do(runtime, "import", "loans", files.loans)
    for code, kind, path in (("feed", "feed", "feed.xml"), ("marc", "marc", "new.mrc")):
        url = f"{site}/{path}"
        _do(runtime, "source", "add", code, kind, url, "--announce-first-load")
    return runtime


def test_a_new_work_finds_its_reader_and_the_answer_is_learnt(
    runtime: Runtime, announced: list[NewWork]
) -> None:
    harvested = _do(runtime, "harvest")
    trained = _do(runtime, "train")
    matched = _do(runtime, "match")
    alerted = _do(runtime, "alert")
    delivered = _do(runtime, "deliver")

    assert [report["acquisitions"] for report in harvested] == [1, 1]
    assert trained["loans"] == 10 * len(READERS)  # Bo's are never read
    assert matched["acquisitions"] == 2
    assert alerted["digests"] == delivered["sent"]
    mails = _mails(runtime.settings.mail)
    assert "Comets" in _text(mails["ada@patrons.test"])
    assert "Rye bread" in _text(mails["cy@patrons.test"])
    assert "bo@patrons.test" not in mails
    assert (_do(runtime, "alert")["alerts"], _do(runtime, "deliver")["sent"]) == (0, 0)

    _answer(runtime, _text(mails["ada@patrons.test"]), "Comets", "Not for me")
    _answer(runtime, _text(mails["cy@patrons.test"]), "Rye bread", "Save")

    assert _verdicts(runtime) == {
        ("ada", "Comets", "not_for_me"),
        ("cy", "Rye bread", "wanted"),
    }
    announced.append(WHEAT)
    _do(runtime, "harvest", "feed")
    assert _do(runtime, "train")["loans"] == trained["loans"] + 1
    seen = _do(runtime, "match", "--dry-run", "--patron", "library:cy")
    (wheat,) = [match for match in seen["matches"] if match["title"] == "Wheat bread"]
    # Of the works cy knows only the answered one is by this creator.
    assert "Rena Miller" in [reason["label"] for reason in wheat["reasons"]]


def test_a_rehearsed_match_writes_nothing(runtime: Runtime) -> None:
    _do(runtime, "harvest")
    _do(runtime, "train")

    seen = _do(runtime, "match", "--dry-run")
    again = _do(runtime, "match", "--dry-run")

    assert seen["matches"]
    assert seen["matches"] == again["matches"]
    assert _do(runtime, "alert")["alerts"] == 0


def test_a_digest_says_why_and_how_to_leave(runtime: Runtime) -> None:
    for stage in ("harvest", "train", "match", "alert", "deliver"):
        _do(runtime, stage)

    for mail in _mails(runtime.settings.mail).values():
        html, text = mail.get_body(("html",)), mail.get_body(("plain",))
        assert html is not None
        assert text is not None
        assert mail["Message-ID"]
        assert mail["List-Unsubscribe"]
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert re.search(r"^  - ", text.get_content(), re.MULTILINE)
        assert "volume" not in _titles(text.get_content())


def _do(runtime: Runtime, *words: str | Path) -> Any:
    result = invoke(runtime, *words, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def _mails(folder: Path) -> dict[str, EmailMessage]:
    mails = {}
    for path in folder.glob("*.eml"):
        mail = email.message_from_bytes(path.read_bytes(), policy=policy.default)
        assert isinstance(mail, EmailMessage)
        mails[mail["To"].addresses[0].addr_spec] = mail
    return mails


def _text(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def _titles(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if line.startswith("* "))


def _answer(runtime: Runtime, text: str, title: str, label: str) -> None:
    """Follow a verdict's link as a browser does: the page first, then its button."""
    after = text[text.index(title) :]
    found = re.search(rf"{label}: (\S+)", after)
    assert found is not None
    path = urlsplit(found[1]).path
    before = _verdicts(runtime)
    app = create_app(runtime.settings, runtime.sessions)
    with app.test_client() as browser:
        page = browser.get(path)
        assert page.status_code == 200
        assert _verdicts(runtime) == before
        answered = browser.post(path, data=_fields(page.get_data(as_text=True)))
    assert answered.status_code in {200, 303}


def _fields(page: str) -> dict[str, str]:
    inputs = re.findall(r"<input[^>]*>", page)
    pairs = [
        (re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag))
        for tag in inputs
    ]
    return {name[1]: value[1] for name, value in pairs if name and value}


def _verdicts(runtime: Runtime) -> set[tuple[str, str, str]]:
    query = (
        select(Patron.external_id, Work.title, Feedback.verdict)
        .join(Feedback, Feedback.patron_id == Patron.id)
        .join(Work, Work.id == Feedback.work_id)
    )
    with reading(runtime.sessions) as session:
        return {(ref, title, verdict) for ref, title, verdict in session.execute(query)}
