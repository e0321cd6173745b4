"""A browser without scripts: opens pages and presses the buttons that are on them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flask import Flask
from lxml import html
from lxml.html import FormElement, HtmlElement
from werkzeug.test import TestResponse

from api.app import create_app
from api.auth import principal
from library.clock import utc_now
from library.db import Sessions
from library.settings import Settings
from library.staff import create_staff
from library.tables import Patron, Staff
from library.vocabulary import StaffRole

PASSWORD = "a long enough password"


class Page:
    """What an address answered."""

    def __init__(self, response: TestResponse) -> None:
        self.status = response.status_code
        self.headers = response.headers
        self.data = response.data
        self.address = response.request.path
        self.tree: HtmlElement = html.document_fromstring(response.text or "<p></p>")

    @property
    def text(self) -> str:
        """Its words, as read aloud: white space is one space."""
        return " ".join(self.tree.text_content().split())

    @property
    def main(self) -> str:
        """The words between head and foot."""
        (main,) = self.tree.xpath("//main")
        return " ".join(main.text_content().split())

    def find(self, css: str) -> list[HtmlElement]:
        """Return the elements that a selector like `li.card` (or XPath) finds."""
        return list(self.tree.xpath(css))

    def button(self, name: str, *, within: str = "//body") -> HtmlElement:
        """Return the button that reads, or is labelled, `name`.

        Raises:
            LookupError: There is none.
        """
        for button in self.tree.xpath(f"{within}//button"):
            words = " ".join(button.text_content().split())
            if name in (words, button.get("aria-label")):
                return button
        raise LookupError(f"no button {name!r} on {self.address}")


class Browser:
    """One visitor with cookies."""

    def __init__(self, app: Flask) -> None:
        self.client = app.test_client()

    def open(self, address: str, **headers: str) -> Page:
        """Open an address, following redirects."""
        response = self.client.get(address, headers=headers, follow_redirects=True)
        return Page(response)

    def press(
        self, page: Page, label: str, /, *, within: str = "//body", **fields: str
    ) -> Page:
        """Press a button, with fields filled in; ticked boxes are fields too.

        A field set to "" is emptied, and one set to "-" is left out (a box unticked).
        """
        button = page.button(label, within=within)
        form = next(e for e in button.iterancestors() if isinstance(e, FormElement))
        data = {**_filled(form), **fields}
        if button.get("name"):
            data[button.get("name", "")] = button.get("value", "")
        data = {key: value for key, value in data.items() if value != "-"}
        address = button.get("formaction") or form.get("action") or page.address
        return self.post(address, data)

    def post(self, address: str, data: Mapping[str, Any]) -> Page:
        """Post a form, following the redirect."""
        return Page(self.client.post(address, data=data, follow_redirects=True))

    def keep(self, name: str, value: str) -> None:
        """Keep a cookie."""
        self.client.set_cookie(name, value)


def _filled(form: FormElement) -> dict[str, str]:
    return {key: value for key, value in form.form_values() if key}


def visitor(settings: Settings, sessions: Sessions) -> Browser:
    """Return a browser at an installation of its own; nobody is signed in."""
    return Browser(create_app(replace(settings, language="en"), sessions))


def signed_in(settings: Settings, sessions: Sessions, patron: Patron) -> Browser:
    """Return a browser in which this patron is signed in."""
    browser = visitor(settings, sessions)
    with sessions.begin() as session:
        token = principal.start(session, at=utc_now(), patron_id=patron.id)
    browser.keep("hamkhan", token)
    return browser


def staffed(settings: Settings, sessions: Sessions, staff: Staff) -> Browser:
    """Return a browser in which this librarian is signed in."""
    browser = visitor(settings, sessions)
    with sessions.begin() as session:
        token = principal.start(session, at=utc_now(), staff_id=staff.id)
    browser.keep("hamkhan-staff", token)
    return browser


def make_staff(
    sessions: Sessions,
    email: str = "nasrin@library.test",
    *,
    role: StaffRole = StaffRole.SYSTEMS,
    branch_id: int | None = None,
) -> Staff:
    """Add a librarian who can sign in with `PASSWORD`."""
    with sessions.begin() as session:
        return create_staff(
            session,
            email,
            "Nasrin",
            role=role,
            password=PASSWORD,
            branch_id=branch_id,
            at=utc_now(),
        )
