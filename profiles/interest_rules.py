"""What may stand in an interest profile, decided without a database."""

from typing import Final

from library.errors import InvalidInput
from library.text import canon, squash

HEAVIEST: Final = 3.0
_LONGEST_KEY: Final = 400
_LONGEST_NAME: Final = 200


def key_of(label: str) -> str:
    """Return the key of an interest: another spelling has the same.

    Raises:
        InvalidInput: There is no letter or digit in it, or too many.
    """
    key = squash(label)
    if not key or len(key) > _LONGEST_KEY:
        raise InvalidInput(
            "an interest needs a letter or digit, and no more than "
            f"{_LONGEST_KEY} of them",
            field="label",
        )
    return key


def checked_weight(weight: float) -> float:
    """Return a weight as it was given.

    Raises:
        InvalidInput: It is out of range, or no number.
    """
    if not 0 <= weight <= HEAVIEST:
        raise InvalidInput(f"a weight is from 0 to {HEAVIEST:g}", field="weight")
    return weight


def profile_name(name: str) -> str:
    """Return a profile's name as it is kept.

    Raises:
        InvalidInput: It is blank or too long.
    """
    shown = canon(name)
    if not shown or len(shown) > _LONGEST_NAME:
        raise InvalidInput(
            f"a profile's name has 1 to {_LONGEST_NAME} letters", field="name"
        )
    return shown
