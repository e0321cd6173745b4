"""Reading what a form posted: typed values, or the field at fault."""

from enum import StrEnum
from typing import TypeVar

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


def see(address: str) -> Response:
    """Answer a post: look there now."""
    return redirect(address, 303)
