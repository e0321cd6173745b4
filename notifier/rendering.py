"""From what a message tells to the message, in its reader's language.

Plain Jinja, no web framework. Direction is physical: mail programs know neither logical
properties nor inherited `dir`.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache, partial
from typing import Any

from jinja2 import Environment, StrictUndefined, select_autoescape

from library.i18n.jalali import format_date, format_year, parse_year
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
from profiles.lessening import ref_of
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
    """How often it comes at most."""
    discreet: bool = False
    others: tuple[str, ...] = ()
    """Where else on this channel."""


def recipient(
    settings: Settings,
    standing: Standing,
    branch: Branch,
    own: Collection[Rhythm] = (),
) -> Recipient:
    """Put together what a message's frame says of its reader and their library.

    Args:
        settings: The installation's.
        standing: How we stand with the reader.
        branch: The reader's.
        own: Rhythms that interests of the reader have of their own.
    """
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
        others=standing.contact.others if standing.contact else (),
        locale=locale,
        digits=reader.digits,
        library=library,
        branch=(branch.name_fa if persian else None) or branch.name,
        code=branch.code,
        sender=Mailbox(library, branch.sender or settings.contact),
        reply_to=branch.reply_to,
        postal_address=branch.postal_address,
        rhythm=_quickest({standing.rhythm, *own}),
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
    names = _names(digest.shown, to)
    less = gettext(to.locale, "Less of this")
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
                    _work(settings, to, entry, names[entry.alert_id], less, signed_at)
                    for entry in section.entries
                ],
            }
            for section in digest.sections
        ],
        "ending": [
            {
                "label": one.label,
                "day": format_date(
                    one.ends_on, to.locale, one.calendar, digits=to.digits
                ),
            }
            for one in digest.ending
        ],
        "interests": links.interests_url(settings),
        "page": page_of(settings, digest),
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


def words(locale: str, template: str, frame: Mapping[str, Any]) -> tuple[str, str]:
    """Fill a template in a language; return it as plain text and as HTML."""
    environment = _environment(locale)
    text = environment.get_template(f"{template}.txt.j2").render(frame)
    return _tidy(text), environment.get_template(f"{template}.html.j2").render(frame)


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
    best = best_of(digest)
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


def _quickest(rhythms: Collection[Rhythm]) -> Rhythm:
    order = (Rhythm.DAILY, Rhythm.WEEKLY, Rhythm.MONTHLY)
    return next((one for one in order if one in rhythms), Rhythm.OFF)


def page_of(settings: Settings, digest: Digest[Entry]) -> str:
    """Return the page that has all a digest is of, also what did not fit into it."""
    return links.alerts_url(settings) if digest.more else links.page_url(settings)


def best_of(digest: Digest[Entry]) -> Entry:
    """Return the work that stands for a digest of one to many."""
    return max(digest.shown, key=lambda entry: (entry.score, -entry.alert_id))


def _preheader(to: Recipient, digest: Digest[Entry]) -> str:
    if to.discreet:
        return gettext(to.locale, "Sign in to see them")
    names = [f"\u2068{_shortened(e.title)}\u2069" for e in digest.shown[1:4]]
    if names:
        return _comma(to.locale).join(names)
    first = digest.shown[0].reasons if digest.shown else ()
    return reason_text(first[0], to.locale) if first else to.library


def _work(
    settings: Settings,
    to: Recipient,
    entry: Entry,
    name: str,
    less: str,
    signed_at: datetime,
) -> dict[str, Any]:
    return {
        "title": entry.title,
        "name": name,
        "dir": entry.title_dir,
        "lang": _LANGUAGES.get(entry.language or "", entry.language or ""),
        "creators": [
            {"name": creator, "dir": title_direction(creator, None)}
            for creator in entry.creators
        ],
        "year": _year(entry, to),
        "call_number": entry.call_number or "",
        "reasons": [
            {"text": text, "less": url, "name": f"{less}: {text} – {name}"}
            for text, url in reasons_of(settings, to, entry, signed_at)
        ],
        "links": {
            verdict.value: links.verdict_url(
                settings, entry.alert_id, verdict, at=signed_at
            )
            for verdict in Verdict
        },
    }


def reasons_of(
    settings: Settings, to: Recipient, entry: Entry, signed_at: datetime
) -> Iterator[tuple[str, str]]:
    """Yield the words of each reason that is told, and where less of it can be had.

    The address is empty for what cannot be lessened.
    """
    for place, reason in enumerate(entry.reasons[:3]):
        url = (
            links.less_url(settings, entry.alert_id, place, at=signed_at)
            if ref_of(reason)
            else ""
        )
        yield reason_text(reason, to.locale), url


def _names(entries: Sequence[Entry], to: Recipient) -> dict[int, str]:
    """Return what links call each work: its title, counted where it comes again."""
    found, seen = {}, Counter[str]()
    for entry in entries:
        seen[entry.title] += 1
        again = seen[entry.title]
        count = f" ({_num(again, to.locale, to.digits)})" if again > 1 else ""
        found[entry.alert_id] = f"{entry.title}{count}"
    return found


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
    text, html = words(to.locale, template, frame)
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
        text=text,
        html=html,
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
