"""Every mail we send, in both languages, as a parser reads its bytes."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import cache
from html import unescape
from urllib.parse import urlsplit

import lxml.html
import pytest
from lxml.html import HtmlElement

from api.working import warning, watching
from harvesters.health import SourceWarning
from library.vocabulary import Channel, ReasonKind, Verdict
from notifier.canary import Standstill
from notifier.contents import Entry
from notifier.message import Message, to_bytes
from notifier.staff_mail import message_of
from tests.factories import NOON
from tests.notifier.cast import reason
from tests.notifier.test_rendering import (
    ENGLISH,
    PERSIAN,
    SETTINGS,
    WORKS,
    a_message,
    all_messages,
)

READERS = {"en": ENGLISH, "fa": PERSIAN}
ONCE = (
    *("Message-ID", "Date", "From", "To", "Subject", "MIME-Version"),
    *("Content-Language", "Auto-Submitted", "Feedback-ID", "List-Id"),
)
LIST = ("List-Unsubscribe", "List-Unsubscribe-Post")
NO_LIST = {"sign in", "confirm", "a failing source", "standing still", "going again"}


def many(count: int) -> list[Entry]:
    """Return works of which some have the same title and the same reasons."""
    return [
        replace(
            WORKS[number % 2],
            alert_id=number + 1,
            work_id=number + 1,
            title=f"{WORKS[number % 2].title} {number // 4}",
            score=float(count - number),
            interest_id=5 if number % 3 else None,
            rule_id=1 if number == 4 else None,
        )
        for number in range(count)
    ]


@cache
def mails(language: str) -> dict[str, Message]:
    """Return each kind of mail, made as it is made for sending."""
    to = READERS[language]
    sly = replace(
        WORKS[0],
        title="Two\r\nBcc: all@patrons.test\nlines " + "and no end " * 40,
        creators=("Ho\r\nMe",),
        call_number="x" * 300,
    )
    of_all_kinds = replace(
        WORKS[0],
        reasons=tuple(reason("Cosmos", kind) for kind in ReasonKind)[:3],
    )
    found = {
        **all_messages(to),
        "three works": a_message(to, *many(3)),
        "as many as fit": a_message(to, *many(20)),
        "more than fit": a_message(to, *many(63)),
        "breaks and lengths from data": a_message(to, sly),
        "other reasons": a_message(to, of_all_kinds),
        "no postal address": a_message(replace(to, postal_address=None, name="")),
    }
    source = SourceWarning(1, "acq", None, 3, "no host\r\nX: y", None, "2026-03-01")
    still = watching.News(Standstill.MAIL, NOON, 0)
    letters = {
        "a failing source": warning._letter(to.name, to.address, to.locale, [source]),
        "standing still": watching._letter(to.name, to.address, to.locale, still),
        "going again": watching._letter(
            to.name, to.address, to.locale, replace(still, what=None)
        ),
    }
    return {
        **found,
        **{kind: message_of(SETTINGS, one, at=NOON) for kind, one in letters.items()},
    }


EACH = pytest.mark.parametrize(
    ("language", "kind"),
    [
        pytest.param(language, kind, id=f"{language}, {kind}")
        for language in READERS
        for kind in mails(language)
    ],
)


def parsed(language: str, kind: str) -> EmailMessage:
    found = message_from_bytes(to_bytes(mails(language)[kind]), policy=policy.default)
    assert isinstance(found, EmailMessage)
    return found


def part(mail: EmailMessage, kind: str) -> str:
    body = mail.get_body((kind,))
    assert body is not None
    return str(body.get_content())


def page(mail: EmailMessage) -> HtmlElement:
    return lxml.html.document_fromstring(part(mail, "html"))


def said(text: str) -> str:
    """Return the words alone: no isolates, no white space."""
    return re.sub(r"[\s\u2066-\u2069\u00a0]", "", unescape(text))


def texts(tree: HtmlElement) -> Iterator[tuple[HtmlElement, str]]:
    """Yield each piece of text of the body with the element it stands in."""
    body = tree.find("body")
    assert body is not None
    for element in body.iter():
        if element.text and element.text.strip():
            yield element, element.text
        parent = element.getparent()
        if element.tail and element.tail.strip() and parent is not None:
            yield parent, element.tail


@EACH
def test_it_is_two_parts_that_say_the_same_in_a_known_charset(
    language: str, kind: str
) -> None:
    mail = parsed(language, kind)
    parts = list(mail.iter_parts())

    assert not mail.defects
    assert mail.get_content_type() == "multipart/alternative"
    assert [one.get_content_type() for one in parts] == ["text/plain", "text/html"]
    for one in parts:
        assert not one.defects
        assert one.get_content_charset() == "utf-8"
        assert one["Content-Transfer-Encoding"] in {"quoted-printable", "base64"}
        assert "\N{REPLACEMENT CHARACTER}" not in str(one.get_content())


@EACH
def test_each_header_is_there_once_and_can_be_read(language: str, kind: str) -> None:
    mail = parsed(language, kind)
    wanted = {*ONCE, "Content-Type"} | (set() if kind in NO_LIST else set(LIST))
    counted = Counter(mail.keys())

    assert wanted <= counted.keys() <= wanted | {"Reply-To"}
    assert set(counted.values()) == {1}
    for value in mail.values():
        assert not getattr(value, "defects", ()), value
    assert mail["Date"].datetime == NOON
    assert mail["To"].addresses[0].addr_spec == READERS[language].address
    assert mail["From"].addresses[0].display_name
    assert mail["Content-Language"] == language
    assert mail["Auto-Submitted"] == "auto-generated"
    assert re.fullmatch(r"<[\w.-]+@books\.test>", mail["Message-ID"])
    assert re.fullmatch(r"<[\w.-]+>", mail["List-Id"])
    assert len(mail["Feedback-ID"].split(":")) == 4
    if kind not in NO_LIST:
        assert re.fullmatch(r"<https://books\.test/leave/\S+>", mail[LIST[0]])
        assert mail[LIST[1]] == "List-Unsubscribe=One-Click"


@EACH
def test_no_line_is_long_but_that_of_a_link(language: str, kind: str) -> None:
    for line in to_bytes(mails(language)[kind]).split(b"\r\n"):
        assert b"\n" not in line
        assert b"\r" not in line
        assert len(line) <= 998
        assert len(line) <= 78 or re.match(rb"List-Unsubscribe: <\S+>$", line), line
        assert line.isascii()


@EACH
def test_the_text_says_all_that_the_html_says(language: str, kind: str) -> None:
    mail = parsed(language, kind)
    words, tree = said(part(mail, "plain")), page(mail)

    for element, text in texts(tree):
        ahead = "preheader" in str(element.get("class"))
        for piece in re.split("\u2069[,،] " if ahead else " · ", text):
            assert said(piece).strip("·،,…") in words, piece
    for link in tree.iter("a"):
        assert said(str(link.get("href"))) in words


@EACH
def test_the_html_has_every_link_of_the_text(language: str, kind: str) -> None:
    mail = parsed(language, kind)
    linked = {str(link.get("href")) for link in page(mail).iter("a")}

    assert set(re.findall(r"https?://\S+", part(mail, "plain"))) == linked


@EACH
def test_all_text_stands_in_a_cell_with_its_direction(language: str, kind: str) -> None:
    way, side = ("rtl", "right") if language == "fa" else ("ltr", "left")
    tree = page(parsed(language, kind))
    body = tree.find("body")
    assert body is not None

    for element in (tree, body):
        assert element.get("dir") == way
    assert tree.get("lang") == language
    assert f"direction: {way}" in str(body.get("style"))
    for element, _ in texts(tree):
        if "preheader" in str(element.get("class")):  # not shown
            continue
        cell = element if element.tag == "td" else next(element.iterancestors("td"))
        wrapper = next(cell.iterancestors("table"))
        style = str(cell.get("style"))
        assert (cell.get("dir"), wrapper.get("dir")) == (way, way)
        assert f"direction: {way}" in style
        assert f"text-align: {side}" in style
        assert "padding" not in style  # Outlook draws a line there
    for table in tree.iter("table"):
        assert table.get("role") == "presentation"
    for title in tree.find_class("title"):
        assert f"direction: {title.get('dir')}" in str(title.get("style"))


@EACH
def test_no_picture_no_script_and_no_foreign_host(language: str, kind: str) -> None:
    tree = page(parsed(language, kind))

    pictures = list(tree.iter("img"))
    assert all(picture.get("alt") is not None for picture in pictures)
    assert not pictures  # and so no pixel
    assert not list(tree.iter("script", "link", "iframe", "object", "form", "base"))
    styles = " ".join(tree.xpath("//@style")) + "".join(tree.xpath("//style/text()"))
    assert not re.search(r"url\(|@import|expression", styles)
    assert not re.search(r"(inline|block)-(start|end)", styles)
    assert not tree.xpath("//@src | //@background | //@srcset")
    hosts = {urlsplit(str(link)).netloc for link in tree.xpath("//@href")}
    assert hosts <= {"books.test"}


@EACH
def test_each_link_has_a_name_of_its_own(language: str, kind: str) -> None:
    links = list(page(parsed(language, kind)).iter("a"))
    names = Counter(
        said(link.get("aria-label") or str(link.text_content())) for link in links
    )

    assert links
    assert all(names)
    assert set(names.values()) == {1}, names.most_common(3)
    for link in links:  # what is seen stands at the beginning of what is heard
        heard = link.get("aria-label") or str(link.text_content())
        assert heard.startswith(str(link.text_content()))


@pytest.mark.parametrize("language", READERS)
def test_each_reason_that_names_something_can_be_had_less_of(language: str) -> None:
    lessenable = ("loan", "interest", "creator", "series", "subject")
    for kind in ReasonKind:
        work = replace(WORKS[0], reasons=(reason("Cosmos", kind),))
        message = a_message(READERS[language], work)

        assert ("/less/1~0~" in message.text) == (kind.value in lessenable), kind
        assert ("/less/1~0~" in message.html) == (kind.value in lessenable), kind


@pytest.mark.parametrize("language", READERS)
def test_a_digest_has_three_verdicts_for_each_work_it_shows(language: str) -> None:
    html = mails(language)["more than fit"].html

    for number in range(1, 21):
        assert html.count(f"/answer/{number}~") == len(Verdict)
    assert "/answer/21~" not in html


def test_all_of_it_is_mail() -> None:
    for language in READERS:
        assert {one.channel for one in mails(language).values()} == {Channel.EMAIL}
