"""The words by which a patron agrees, per purpose; a new wording asks again."""

from dataclasses import dataclass
from typing import Final

from library.i18n.messages import _
from library.vocabulary import ConsentPurpose

VERSION: Final = "2026-11"
"""Stored with each consent; raise it when a text below changes its meaning."""


@dataclass(frozen=True)
class Wording:
    """What a patron is asked, and what follows from it."""

    title: str
    text: str

    @property
    def kept(self) -> str:
        """What the consent row keeps of it."""
        return f"{VERSION}: {self.text}"


WORDINGS: Final = {
    ConsentPurpose.ALERTS: Wording(
        _("Tell me about new works"),
        _(
            "The library may send me messages about new works that suit me, "
            "at the rhythm I choose."
        ),
    ),
    ConsentPurpose.HISTORY: Wording(
        _("Keep my loans"),
        _(
            "The library may keep the list of what I borrow, so that I can see it "
            "and am not told of works that I have read."
        ),
    ),
    ConsentPurpose.MODEL: Wording(
        _("Learn from my loans"),
        _(
            "What I borrow and answer may be used to find works that suit me and, "
            "without my name, readers with like taste."
        ),
    ),
    ConsentPurpose.TRACKING: Wording(
        _("Count what I open"),
        _("The library may note which suggestions were shown to me on this page."),
    ),
    ConsentPurpose.SURVEY: Wording(
        _("Ask for my opinion"),
        _("The library may send me a short survey now and then."),
    ),
}
