"""A form that is refused comes back with all that was typed and chosen in it."""

from dataclasses import dataclass, field

import pytest
from lxml.html import FormElement

from library.db import Sessions
from library.settings import Settings
from library.vocabulary import InterestKind
from profiles.interests import add_interest
from tests.browsing import Browser, Page, make_staff, signed_in, staffed, visitor
from tests.factories import NOON, ada, make_branch


@dataclass(frozen=True)
class Form:
    """A form, and what is typed into it that it cannot take."""

    address: str
    button: str
    fields: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.address} {self.button}"


OF_VISITORS = [
    Form("/sign-in", "Send me a link", {"identity": " "}),
    Form(
        "/sign-in/code",
        "Sign in",
        {"identity": "ada@patrons.test", "code": "12345", "own_device": "1"},
    ),
    Form("/console/sign-in", "Sign in", {"email": "lib@x.test"}),
]
OF_PATRONS = [
    Form(
        "/me/preferences",
        "Store",
        {
            "rhythm": "monthly",
            "weekday": "4",
            "hour": "21",
            "zone": "Asia/Tehran",
            "at_least": "many",
            "quiet_from": "22:00",
            "quiet_to": "",
            "channel": "page",
            "discreet": "1",
            "language": "fa_IR",
            "calendar": "jalali",
            "digits": "latin",
        },
    ),
    Form("/me/preferences", "Pause until then", {"until": "2020-01-01"}),
    Form("/me/preferences", "Send me a link", {"address": "ada at patrons.test"}),
    Form("/me/interests", "Add", {"label": "?!", "kind": "series"}),
    Form(
        "/me/interests",
        "Store: Sagan",
        {
            "weight": "2.0",
            "rhythm": "monthly",
            "active": "-",
            "alerts": "-",
            "follow": "1",
            "ends_on": "never",
        },
    ),
    Form("/me/hidden", "Leave out", {"name": "…", "kind": "series"}),
    Form("/me/erase", "Erase everything now", {"word": "eras"}),
]
OF_STAFF = [
    Form("/console/view-as", "Look", {"patron": "nobody"}),
    Form(
        "/console/rules",
        "Make the rule",
        {
            "action": "bury",
            "target_kind": "series",
            "target": "Kosmos",
            "factor": "4.0",
            "branch": "",
            "category": "children",
            "ends_on": "soon",
            "reason": "Too many",
        },
    ),
]


def comes_back(browser: Browser, form: Form) -> None:
    page = browser.open(form.address)
    typed = {**filled(page, form), **form.fields}

    refused = browser.press(page, form.button, **form.fields)

    assert refused.status == 422
    assert filled(refused, form) == {k: v for k, v in typed.items() if v != "-"}


def filled(page: Page, form: Form) -> dict[str, str]:
    """What stands in a form, but for what no page may say."""
    button = page.button(form.button)
    around = next(e for e in button.iterancestors() if isinstance(e, FormElement))
    return {k: v for k, v in around.form_values() if k not in {"form", "password"}}


@pytest.mark.parametrize("form", OF_VISITORS, ids=str)
def test_a_visitors(settings: Settings, sessions: Sessions, form: Form) -> None:
    comes_back(visitor(settings, sessions), form)


@pytest.mark.parametrize("form", OF_PATRONS, ids=str)
def test_a_patrons(settings: Settings, sessions: Sessions, form: Form) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        for name in ("Druyan", "Sagan"):
            kind = InterestKind.CREATOR
            add_interest(session, patron.id, kind=kind, label=name, at=NOON)

    comes_back(signed_in(settings, sessions, patron), form)


@pytest.mark.parametrize("form", OF_STAFF, ids=str)
def test_a_librarians(settings: Settings, sessions: Sessions, form: Form) -> None:
    with sessions.begin() as session:
        make_branch(session)

    comes_back(staffed(settings, sessions, make_staff(sessions)), form)
