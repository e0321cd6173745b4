"""Why a work is brought to a patron, in one plain sentence."""

from collections.abc import Mapping
from typing import Any

from library.i18n.messages import _, gettext
from library.vocabulary import ReasonKind

_NAMED = {
    ReasonKind.LOAN: _("Because you borrowed %(name)s"),
    ReasonKind.INTEREST: _("It meets your interest in %(name)s"),
    ReasonKind.CREATOR: _("By %(name)s, whom you read"),
    ReasonKind.SERIES: _("It belongs to the series %(name)s"),
    ReasonKind.SUBJECT: _("It is about %(name)s, which you often read"),
    ReasonKind.NEIGHBOURS: _("Readers of %(name)s took to it too"),
    ReasonKind.POPULAR: _("Much read at %(name)s"),
    ReasonKind.LATEST: _("New at %(name)s"),
    ReasonKind.RULE: _("Chosen by the library: %(name)s"),
    ReasonKind.DIFFERENT: _("Something different: %(name)s"),
}
_NAMELESS = {
    ReasonKind.LOAN: _("Because of what you borrowed"),
    ReasonKind.INTEREST: _("It meets one of your interests"),
    ReasonKind.CREATOR: _("By someone you read"),
    ReasonKind.SERIES: _("It belongs to a series you read"),
    ReasonKind.SUBJECT: _("It is about something you often read"),
    ReasonKind.NEIGHBOURS: _("Readers with a taste like yours took to it"),
    ReasonKind.POPULAR: _("Much read in your library"),
    ReasonKind.LATEST: _("New in your library"),
    ReasonKind.RULE: _("Chosen by the library"),
    ReasonKind.DIFFERENT: _("Something different: few know it yet"),
}


def reason_text(reason: Mapping[str, Any], locale: str) -> str:
    """Say a stored reason in the reader's language.

    The title or name in it stands between U+2068 and U+2069, so that it keeps its own
    direction; a page may put `<bdi>` in their place.
    """
    kind = ReasonKind(reason["kind"])
    label = reason.get("label")
    if not label:
        return gettext(locale, _NAMELESS[kind])
    return gettext(locale, _NAMED[kind], name=f"\u2068{label}\u2069")
