"""From what a message tells to the message, in its reader's language.

Plain Jinja, no web framework. Direction is physical: mail programs know neither logical
properties nor inherited `dir`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache, partial
from typing import Any

from jinja2 import Environment, StrictUndefined, select_autoescape

from library.i18n.jalali import format_year, parse_year
from library.i18n.messages import (
    PERSIAN,
    direction,
    gettext,
    html_lang,
    nearest_locale,
    ngettext,
    translator,
)
from library.i18n.numbers import num
from library.i18n.reasons import reason_text
from library.settings import Settings
from library.tables import Branch, Delivery
from library.text import title_direction
from library.vocabulary import Purpose, Rhythm, Verdict
from notifier import links
from notifier.contents import Entry
from notifier.digest import Digest
from notifier.inlining import StyledLoader
from notifier.message import Mailbox, Message
from profiles.standing import Standing

_SUBJECT_LENGTH = 60
_LANGUAGES = {
    "per": "fa", "fas": "fa", "eng": "en", "ara": "ar", "fre": "fr", "fra": "fr",
    "ger": "de", "deu": "de", "spa": "es", "ita": "it", "rus": "ru", "tur": "tr",
    "kur": "ku", "urd": "ur", "por": "pt", "jpn": "ja", "chi": "zh", "zho": "zh",
}  # fmt: skip
"""A bib record's language as `lang` wants it."""


@dataclass(frozen=True)
class Recipient:
    """Who a message is for, and how they read."""

    name: str
    address: str
    locale: str
    digits: str | None
    library: str
    branch: str
    code: str
    sender: Mailbox
    reply_to: str | None
    postal_address: str | None
    rhythm: Rhythm = Rhythm.WEEKLY
    discreet: bool = False


def recipient(settings: Settings, standing: Standing, branch: Branch) -> Recipient:
    """Put together what a message's frame says of its reader and their library."""
    reader = standing.reader
    if reader is None:
        raise ValueError(
            f"of patron {standing.patron_id} nothing was read but for the gate"
        )
    locale = nearest_locale(reader.language)
    persian = locale == PERSIAN
    library = settings.library_name_fa if persian else settings.library_name
    return Recipient(
        name=reader.name or "",
        address=standing.contact.address if standing.contact else "",
        locale=locale,
        digits=reader.digits,
        library=library,
        branch=(branch.name_fa if persian else None) or branch.name,
        code=branch.code,
        sender=Mailbox(library, branch.sender or settings.contact),
        reply_to=branch.reply_to,
        postal_address=branch.postal_address,
        rhythm=standing.rhythm,
        discreet=reader.discreet,
    )


def render_digest(
    settings: Settings,
    delivery: Delivery,
    to: Recipient,
    digest: Digest[Entry],
    labels: Mapping[int, str],
    *,
    at: datetime,
) -> Message:
    """Render a digest of one to many works.

    Args:
        settings: The installation's.
        delivery: What carries it; its links name this row.
        to: The reader.
        digest: The works, grouped.
        labels: The names of the interests that head them.
        at: When it is sent.
    """
    signed_at = delivery.created_at
    context = {
        "subject": digest_subject(to, digest),
        "preheader": _preheader(to, digest),
        "total": digest.total,
        "more": digest.more,
        "sections": [
            {
                "heading": section.heading.value,
                "label": labels.get(section.interest_id or 0, ""),
                "less": links.leave_url(
                    settings,
                    delivery.id,
                    f"interest:{section.interest_id}",
                    at=signed_at,
                )
                if section.interest_id in labels
                else "",
                "works": [
                    _work(settings, to, entry, signed_at) for entry in section.entries
                ],
            }
            for section in digest.sections
        ],
        "page": links.page_url(settings),
        "preferences": links.preferences_url(settings),
    }
    template = "discreet" if to.discreet else "digest"
    return _message(settings, delivery, to, template, context, at=at)


def render_sign_in(
    settings: Settings,
    delivery: Delivery,
    to: Recipient,
    *,
    link: str,
    code: str,
    at: datetime,
) -> Message:
    """Render the message by which a patron signs in."""
    subject = gettext(to.locale, "Sign in to %(library)s", library=to.library)
    preheader = gettext(to.locale, "The link works once, for 15 minutes")
    context = {
        "subject": subject, "preheader": preheader, "link": link, "code": code,
    }  # fmt: skip
    return _message(settings, delivery, to, "sign_in", context, at=at)


def render_confirm(
    settings: Settings, delivery: Delivery, to: Recipient, *, link: str, at: datetime
) -> Message:
    """Render the message by which a patron confirms an address."""
    subject = gettext(
        to.locale, "Confirm this address for %(library)s", library=to.library
    )
    preheader = gettext(to.locale, "Without it nothing more is sent here")
    context = {"subject": subject, "preheader": preheader, "link": link}
    return _message(settings, delivery, to, "confirm", context, at=at)


def digest_subject(to: Recipient, digest: Digest[Entry]) -> str:
    """Return a digest's subject: its best work, unless the reader wants it discreet."""
    locale, total = to.locale, digest.total
    if to.discreet or not digest.shown:
        return ngettext(
            locale,
            "%(num)s new work",
            "%(num)s new works",
            total,
            num=_num(total, locale, to.digits),
        )
    best = max(digest.shown, key=lambda entry: (entry.score, -entry.alert_id))
    title = f"\u2068{_shortened(best.title)}\u2069"
    if total == 1:
        return gettext(locale, "New for you: %(title)s", title=title)
    return ngettext(
        locale,
        "New for you: %(title)s and %(num)s more",
        "New for you: %(title)s and %(num)s more",
        total - 1,
        title=title,
        num=_num(total - 1, locale, to.digits),
    )


def _preheader(to: Recipient, digest: Digest[Entry]) -> str:
    if to.discreet:
        return gettext(to.locale, "Sign in to see them")
    names = [f"\u2068{_shortened(e.title)}\u2069" for e in digest.shown[1:4]]
    if names:
        return _comma(to.locale).join(names)
    first = digest.shown[0].reasons if digest.shown else ()
    return reason_text(first[0], to.locale) if first else to.library


def _work(
    settings: Settings, to: Recipient, entry: Entry, signed_at: datetime
) -> dict[str, Any]:
    return {
        "title": entry.title,
        "dir": entry.title_dir,
        "lang": _LANGUAGES.get(entry.language or "", entry.language or ""),
        "creators": [
            {"name": name, "dir": title_direction(name, None)}
            for name in entry.creators
        ],
        "year": _year(entry, to),
        "call_number": entry.call_number or "",
        "reasons": [reason_text(reason, to.locale) for reason in entry.reasons[:3]],
        "links": {
            verdict.value: links.verdict_url(
                settings, entry.alert_id, verdict, at=signed_at
            )
            for verdict in Verdict
        },
    }


def _year(entry: Entry, to: Recipient) -> str:
    if not entry.year_raw:
        return ""
    year = parse_year(entry.year_raw, entry.language)
    return format_year(year, to.locale, to.digits)


def _message(
    settings: Settings,
    delivery: Delivery,
    to: Recipient,
    template: str,
    context: dict[str, Any],
    *,
    at: datetime,
) -> Message:
    frame = {
        "to": to,
        "num": partial(_num, locale=to.locale, digits=to.digits),
        "leave": _leave_url(settings, delivery),
        "address_dir": title_direction(to.postal_address or "", None),
        **context,
    }
    environment = _environment(to.locale)
    return Message(
        channel=delivery.channel,
        purpose=delivery.purpose,
        message_id=delivery.message_id,
        sender=to.sender,
        to=Mailbox(to.name, to.address),
        envelope_sender=links.return_address(
            settings, delivery.id, at=delivery.created_at
        ),
        subject=context["subject"],
        text=_tidy(environment.get_template(f"{template}.txt.j2").render(frame)),
        html=environment.get_template(f"{template}.html.j2").render(frame),
        language=html_lang(to.locale),
        date=at,
        headers=tuple(_headers(settings, delivery, to)),
    )


def _headers(
    settings: Settings, delivery: Delivery, to: Recipient
) -> list[tuple[str, str]]:
    kind = delivery.purpose.value.replace("_", "-")
    domain = settings.mail_domain
    found = [
        ("Auto-Submitted", "auto-generated"),
        ("Feedback-ID", f"{kind}:{_plain(to.code)}:hamkhan:{domain}"),
        ("List-Id", f"<{kind}.{_plain(to.code)}.{domain}>"),
    ]
    if to.reply_to:
        found.append(("Reply-To", to.reply_to))
    leave = _leave_url(settings, delivery)
    if leave:
        found.append(("List-Unsubscribe", f"<{leave}>"))
        found.append(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
    return found


def _leave_url(settings: Settings, delivery: Delivery) -> str:
    if delivery.purpose in {Purpose.SIGN_IN, Purpose.CONFIRM, Purpose.ENQUIRY}:
        return ""
    return links.leave_url(
        settings, delivery.id, delivery.purpose.value, at=delivery.created_at
    )


def _plain(code: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in code)


def _shortened(title: str) -> str:
    if len(title) <= _SUBJECT_LENGTH:
        return title
    return title[:_SUBJECT_LENGTH].rsplit(" ", 1)[0] + "…"


def _tidy(text: str) -> str:
    lines = (line.rstrip() for line in text.strip().splitlines())
    return "\n".join(lines) + "\n"


@cache
def _environment(locale: str) -> Environment:
    rtl = direction(locale) == "rtl"
    constants = {
        "lang": html_lang(locale),
        "dir": direction(locale),
        "start": "right" if rtl else "left",
        "end": "left" if rtl else "right",
        "comma": _comma(locale),
    }
    environment = Environment(
        loader=StyledLoader(constants),
        autoescape=select_autoescape(("html.j2",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    install = environment.install_gettext_translations  # type: ignore[attr-defined]
    install(translator(locale), newstyle=True)
    environment.globals.update(constants)
    return environment


def _comma(locale: str) -> str:
    return "، " if locale == PERSIAN else ", "


_num = lru_cache(maxsize=1024)(num)
