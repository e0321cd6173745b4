import re
from dataclasses import replace
from datetime import date
from html import unescape

import lxml.html
import pytest
from lxml.html import HtmlElement

from library.settings import Settings
from library.tables import Delivery
from library.vocabulary import Channel, Purpose, Rhythm
from notifier.contents import Entry
from notifier.digest import Digest, Ending, arrange
from notifier.message import Mailbox, Message, to_bytes
from notifier.rendering import (
    Recipient,
    render_confirm,
    render_digest,
    render_sign_in,
)
from tests.factories import NOON
from tests.notifier.cast import reason

SETTINGS = Settings(secret="a secret for tests only", base_url="https://books.test")
ENGLISH = Recipient(
    name="Ada",
    address="ada@patrons.test",
    locale="en",
    digits=None,
    library="Shiraz Library",
    branch="Central",
    code="central",
    sender=Mailbox("Shiraz Library", "library@books.test"),
    reply_to="desk@books.test",
    postal_address="12 Library Street",
)
PERSIAN = replace(
    ENGLISH,
    name="سیما",
    locale="fa_IR",
    library="کتابخانهٔ شیراز",
    branch="مرکزی",
    postal_address="شیراز، خیابان کتابخانه",
)
READERS = pytest.mark.parametrize("to", [ENGLISH, PERSIAN], ids=["en", "fa"])

CRM = "مدیریت ارتباط با مشتری (CRM) در کتابخانه‌ها"
WORKS = (
    Entry(
        alert_id=1,
        work_id=1,
        score=2.0,
        interest_id=5,
        rule_id=None,
        model_version_id=1,
        reasons=(reason("Cosmos"), reason("Contact"), reason("Pale Blue Dot")),
        title="The Left Hand of Darkness",
        title_dir="ltr",
        language="eng",
        year_raw="1969",
        creators=("Ursula K. Le Guin", "فاطمه محمدی"),
        call_number="PS3562 .E42",
    ),
    Entry(
        alert_id=2,
        work_id=2,
        score=1.0,
        interest_id=None,
        rule_id=None,
        model_version_id=1,
        reasons=(reason("<b>بوف کور</b>"),),
        title=CRM,
        title_dir="rtl",
        language="per",
        year_raw="1389",
        creators=(),
        call_number=None,
    ),
)


def a_delivery(purpose: Purpose = Purpose.DIGEST) -> Delivery:
    return Delivery(
        id=9,
        patron_id=1,
        purpose=purpose,
        channel=Channel.EMAIL,
        message_id="<x@books.test>",
        created_at=NOON,
        due_at=NOON,
        not_after=NOON,
    )


def digest_of(*works: Entry, limit: int = 20) -> Digest[Entry]:
    return arrange(works, limit=limit)


ENDING = replace(
    digest_of(*WORKS), ending=(Ending("Solaris", date(2027, 3, 1), "gregorian"),)
)


def a_message(to: Recipient, *works: Entry, limit: int = 20) -> Message:
    return of_digest(to, digest_of(*(works or WORKS), limit=limit))


def of_digest(to: Recipient, digest: Digest[Entry]) -> Message:
    labels = {5: "Ursula K. Le Guin"}
    return render_digest(SETTINGS, a_delivery(), to, digest, labels, at=NOON)


def all_messages(to: Recipient) -> dict[str, Message]:
    return {
        "one work": a_message(to, WORKS[0]),
        "two works": a_message(to),
        "more": a_message(to, limit=1),
        "discreet": a_message(replace(to, discreet=True)),
        "ending": of_digest(to, ENDING),
        "discreet ending": of_digest(replace(to, discreet=True), ENDING),
        "sign in": render_sign_in(
            SETTINGS,
            a_delivery(Purpose.SIGN_IN),
            to,
            link="https://books.test/sign-in/abc",
            code="123456",
            at=NOON,
        ),
        "confirm": render_confirm(
            SETTINGS,
            a_delivery(Purpose.CONFIRM),
            to,
            link="https://books.test/confirm/abc",
            at=NOON,
        ),
    }


KINDS = pytest.mark.parametrize("kind", list(all_messages(ENGLISH)))


def tree(message: Message) -> HtmlElement:
    return lxml.html.document_fromstring(message.html)


def plain(text: str) -> str:
    """Return the words alone: no isolates, no white space."""
    return re.sub(r"[\s\u2066-\u2069\u00a0]", "", unescape(text))


@READERS
@KINDS
def test_the_text_says_everything_the_html_says(to: Recipient, kind: str) -> None:
    message = all_messages(to)[kind]
    words = plain(message.text)
    body = tree(message).find("body")
    assert body is not None

    for said in body.itertext():
        if isinstance(said, str) and plain(said):
            if said.strip() == message_preheader(message):
                continue
            assert plain(said).strip("·،,") in words, said
    for link in tree(message).iter("a"):
        assert str(link.get("href")) in message.text


def message_preheader(message: Message) -> str:
    (found,) = tree(message).find_class("preheader")
    return str(found.text_content()).strip()


@READERS
@KINDS
def test_direction_is_on_body_tables_cells_and_titles(to: Recipient, kind: str) -> None:
    message = all_messages(to)[kind]
    way, side = ("rtl", "right") if to is PERSIAN else ("ltr", "left")
    page = tree(message)

    assert page.get("dir") == way
    assert page.get("lang") == message.language
    for cell in page.find_class("text"):
        assert cell.get("dir") == way
        assert f"direction: {way}" in str(cell.get("style"))
        assert f"text-align: {side}" in str(cell.get("style"))
    body = page.find("body")
    assert body is not None
    assert body.get("dir") == way
    assert f"direction: {way}" in str(body.get("style"))


@READERS
def test_a_title_keeps_its_own_direction_and_language(to: Recipient) -> None:
    titles = tree(a_message(to)).find_class("title")

    assert [(t.get("dir"), t.get("lang")) for t in titles] == [
        ("ltr", "en"),
        ("rtl", "fa"),
    ]
    assert all(f"direction: {t.get('dir')}" in str(t.get("style")) for t in titles)


@READERS
@KINDS
def test_no_logical_property_no_pixel_and_no_foreign_host(
    to: Recipient, kind: str
) -> None:
    html = all_messages(to)[kind].html

    assert not re.search(r"(inline|block)-(start|end)|text-align:\s*(start|end)", html)
    assert "<img" not in html
    assert set(re.findall(r"https?://([^/\"']+)", html)) <= {"books.test"}
    assert "jinja" not in html
    assert "{{" not in html


@READERS
def test_every_style_stands_in_its_element(to: Recipient) -> None:
    page = tree(a_message(to))

    for style in page.iter("style"):
        assert str(style.text).strip().startswith("@media")
    for link in page.iter("a"):
        assert link.get("style")


@READERS
@KINDS
def test_no_two_links_have_the_same_name(to: Recipient, kind: str) -> None:
    links = list(tree(all_messages(to)[kind]).iter("a"))
    names = [link.get("aria-label") or link.text_content() for link in links]

    assert len(set(names)) == len(names)
    assert all(names)


def test_a_persian_mail_has_a_half_space_and_its_own_digits() -> None:
    message = a_message(PERSIAN, limit=1)

    assert "۲ اثر تازه" in message.text
    assert "۱ اثر دیگر" in message.text
    assert "کتابخانه\u200cها" in a_message(PERSIAN).html
    assert "۱۳۸۹ (۲۰۱۰–۱۱)" in a_message(PERSIAN).text


def test_digits_are_a_choice_of_their_own() -> None:
    assert "2 اثر تازه" in a_message(replace(PERSIAN, digits="latin")).text


@pytest.mark.parametrize(
    ("count", "limit", "said"),
    [(1, 20, "Your page"), (20, 20, "Your page"), (63, 20, "43 more on your page")],
)
def test_one_template_for_one_to_many(count: int, limit: int, said: str) -> None:
    works = [replace(WORKS[0], alert_id=n, work_id=n) for n in range(count)]
    message = a_message(ENGLISH, *works, limit=limit)

    assert said in message.text
    assert len(tree(message).find_class("title")) == min(count, limit)


@READERS
def test_every_work_says_why(to: Recipient) -> None:
    page = tree(a_message(to))

    assert len(page.find_class("why")) == 4


def test_markup_in_data_stays_text() -> None:
    sly = replace(
        WORKS[0],
        title="<script>alert(1)</script>",
        creators=('"><img src=x>',),
        call_number="<b>",
    )
    message = a_message(replace(ENGLISH, name="<i>Ada</i>"), sly)
    page = tree(message)

    assert not list(page.iter("script", "img", "i", "b"))
    assert "<script>alert(1)</script>" in message.text


def test_the_subject_isolates_a_title() -> None:
    assert a_message(ENGLISH, WORKS[0]).subject == (
        "New for you: \u2068The Left Hand of Darkness\u2069"
    )
    assert "\u2068The Left Hand of Darkness\u2069" in a_message(PERSIAN).subject


@READERS
def test_a_discreet_message_names_no_work(to: Recipient) -> None:
    message = a_message(replace(to, discreet=True))

    for said in (message.subject, message.text, message.html):
        assert "Darkness" not in said
        assert "CRM" not in said
        assert "Cosmos" not in said


@READERS
@KINDS
def test_the_headers_of_every_message(to: Recipient, kind: str) -> None:
    message = all_messages(to)[kind]
    headers = dict(message.headers)

    assert headers["Auto-Submitted"] == "auto-generated"
    assert headers["Feedback-ID"].count(":") == 3
    assert re.fullmatch(r"<[\w.-]+>", headers["List-Id"])
    assert headers["Reply-To"] == "desk@books.test"
    assert message.language == ("fa" if to is PERSIAN else "en")
    one_click = headers.get("List-Unsubscribe-Post")
    if kind in {"sign in", "confirm"}:
        assert one_click is None
    else:
        assert one_click == "List-Unsubscribe=One-Click"
        assert headers["List-Unsubscribe"].startswith("<https://books.test/leave/")


@READERS
def test_made_again_it_is_the_same_to_the_last_byte(to: Recipient) -> None:
    assert to_bytes(a_message(to)) == to_bytes(a_message(to))


@pytest.mark.parametrize(
    ("rhythm", "said"),
    [(Rhythm.DAILY, "once a day"), (Rhythm.MONTHLY, "once a month")],
)
def test_the_foot_says_how_often(rhythm: Rhythm, said: str) -> None:
    assert said in a_message(replace(ENGLISH, rhythm=rhythm)).text


@READERS
def test_what_does_not_fit_is_one_link_to_all_alerts(to: Recipient) -> None:
    message = a_message(to, limit=1)

    assert "https://books.test/me/alerts" in message.text
    assert 'href="https://books.test/me/alerts"' in message.html


def test_a_discreet_mail_names_no_interest_that_ends() -> None:
    message = of_digest(replace(ENGLISH, discreet=True), ENDING)

    assert "Solaris" not in message.text + message.html
    assert "https://books.test/me/interests" in message.text
