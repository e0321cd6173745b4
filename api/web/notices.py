"""What a page says after an action, and how several actions are taken back in turn.

The steps ride in the browser's signed cookie, so that a second browser undoes nothing
of the first. The notice stays until it is dismissed or the next action comes.
"""

from collections.abc import Mapping
from typing import Any, Final

from flask import session as browser

DEPTH: Final = 12


def tell(text: str, *, good: bool = True) -> None:
    """Show a sentence, once, on the next page."""
    browser["notice"] = {"text": text, "good": good}


def told() -> Mapping[str, Any] | None:
    """Return the sentence to show, and forget it."""
    found: Mapping[str, Any] | None = browser.pop("notice", None)
    return found


def remember(step: Mapping[str, Any]) -> None:
    """Keep a step that can be taken back; beyond the depth the oldest goes."""
    browser["steps"] = [*steps(), dict(step)][-DEPTH:]


def steps() -> list[dict[str, Any]]:
    """Return the steps that can be taken back, oldest first."""
    return list(browser.get("steps", ()))


def take_back() -> dict[str, Any] | None:
    """Return the latest step and forget it; None when there is none."""
    kept = steps()
    if not kept:
        return None
    browser["steps"] = kept[:-1]
    return kept[-1]


def dismiss() -> None:
    """Forget all steps."""
    browser.pop("steps", None)
