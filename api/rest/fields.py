"""What the API's models share: texts, moments and names as they may come in."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
)

from library.tables import Work
from library.text import canon

GREATEST_ID: Final = 2**31 - 1


class In(BaseModel):
    """A body or query that comes in; a name it does not know is a mistake."""

    model_config = ConfigDict(extra="forbid")


class Out(BaseModel):
    """A body that goes out, read from the attributes of a row or record."""

    model_config = ConfigDict(from_attributes=True)


def _clean(text: str) -> str:
    if any(ord(char) < 32 or 0xD800 <= ord(char) < 0xE000 for char in text):
        raise ValueError("control characters cannot be used")
    shown = canon(text)
    if not shown:
        raise ValueError("this is blank")
    return shown


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("this is beyond the calendar") from error


def _web_address(text: str) -> str:
    parts = urlsplit(text)  # raises ValueError too
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("this is no http or https address")
    return text


Text = Annotated[
    str, StringConstraints(min_length=1, max_length=400), AfterValidator(_clean)
]
Long = Annotated[
    str, StringConstraints(min_length=1, max_length=4000), AfterValidator(_clean)
]
Short = Annotated[
    str, StringConstraints(min_length=1, max_length=200), AfterValidator(_clean)
]
Code = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)
]
Address = Annotated[
    str,
    StringConstraints(max_length=2000),
    AfterValidator(_clean),
    AfterValidator(_web_address),
]
Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
Id = Annotated[int, Field(ge=1, le=GREATEST_ID)]
Weight = Annotated[float, Field(ge=0, le=3, allow_inf_nan=False)]


class WorkName(Out):
    """A work by its title, with the language and direction to show it in."""

    id: int
    title: str
    lang: str | None
    dir: str


def work_name(work: Work) -> WorkName:
    """Return how a work is named in another resource."""
    return WorkName(
        id=work.id, title=work.title, lang=work.language, dir=work.title_dir
    )


def as_json(model: BaseModel) -> dict[str, Any]:
    """Return a model as JSON can hold it."""
    return model.model_dump(mode="json")
