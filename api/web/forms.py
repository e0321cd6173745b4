"""Reading what a form posted: typed values, or the field at fault and all as it was."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from flask import redirect, request
from werkzeug.wrappers import Response

from library.errors import InvalidInput
from library.i18n.numbers import digits
from library.text import canon

E = TypeVar("E", bound=StrEnum)
LONGEST = 300
HIGHEST_ID = 2**31 - 1


def text(name: str, *, longest: int = LONGEST) -> str:
    """Return what was typed, tidied; empty when nothing was.

    Raises:
        InvalidInput: It is too long.
    """
    typed = canon(request.form.get(name, "")).strip()
    if len(typed) > longest:
        raise InvalidInput(f"{name}: longer than {longest}", field=name)
    return typed


def whole(name: str, low: int, high: int) -> int:
    """Return a whole number within bounds, typed in any digits.

    Raises:
        InvalidInput: It is none, or out of bounds.
    """
    typed = digits(text(name), "en", "latin")
    # isdecimal also knows other scripts' digits, which int reads just as well.
    if not typed.isdecimal() or not low <= int(typed) <= high:
        raise InvalidInput(f"{name}: a whole number from {low} to {high}", field=name)
    return int(typed)


def decimal(name: str, low: float, high: float) -> float:
    """Return a number within bounds.

    Raises:
        InvalidInput: It is none, or out of bounds.
    """
    try:
        value = float(digits(text(name), "en", "latin"))
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise InvalidInput(f"{name}: a number from {low} to {high}", field=name)
    return value


def choice(name: str, words: type[E]) -> E:
    """Return the chosen word.

    Raises:
        InvalidInput: It is none of them.
    """
    try:
        return words(request.form.get(name, ""))
    except ValueError as error:
        raise InvalidInput(f"{name}: not one of the choices", field=name) from error


def minutes(name: str) -> int | None:
    """Return a time of day as minutes after midnight; None when left empty.

    Raises:
        InvalidInput: It is no time.
    """
    typed = digits(text(name), "en", "latin")
    if not typed:
        return None
    hour, _, minute = typed.partition(":")
    if not (hour.isdecimal() and minute[:2].isdecimal()):
        raise InvalidInput(f"{name}: a time as 22:00", field=name)
    if not (int(hour) < 24 and int(minute[:2]) < 60):
        raise InvalidInput(f"{name}: a time as 22:00", field=name)
    return int(hour) * 60 + int(minute[:2])


def ticked(name: str) -> bool:
    """Tell whether a box was ticked."""
    return name in request.form


@dataclass(frozen=True)
class Entered:
    """What the fields of a form show: what was typed if it was refused, else as stored.

    Attributes:
        posted: All that was typed; None where the form was not posted.
    """

    posted: Mapping[str, list[str]] | None

    def text(self, name: str, stored: object = "") -> str:
        """Return what stands in a field."""
        if self.posted is None:
            return str(stored or "")
        return "".join(self.posted.get(name, ())[:1])

    def chosen(self, name: str, value: object, stored: object = None) -> bool:
        """Tell whether a box, button or option with this value is chosen."""
        if self.posted is None:
            return bool(stored)
        return str(value) in self.posted.get(name, ())


def entered(endpoint: str, **values: Any) -> Entered:
    """Return what stands in the form that is posted to an endpoint.

    A post that went well leads to another page, so a form on the page that answers one
    was refused, and nothing that was typed must be lost.
    """
    here = request.endpoint == endpoint and request.view_args == values
    return Entered(request.form.to_dict(flat=False) if here else None)


def see(address: str) -> Response:
    """Answer a post: look there now."""
    return redirect(address, 303)
