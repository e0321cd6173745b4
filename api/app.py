"""The web application: pages, console and REST, made of the parts it is handed."""

import hashlib
from pathlib import Path

from apiflask import APIFlask
from flask import Flask
from markupsafe import Markup, escape

from api import console, context, pages, rest
from api.web import cards, error_pages, forms, notices, security
from library.db import Sessions
from library.i18n import messages
from library.runtime import Runtime
from library.settings import Settings
from library.text import title_direction

_HERE = Path(__file__).parent
_FONTS = "vendor/vazirmatn.css"
MOST_POSTED = 1024 * 1024


def create_app(settings: Settings, sessions: Sessions) -> APIFlask:
    """Make the application; two made in one process share nothing."""
    app = APIFlask(
        "api",
        title="Hamkhan",
        version="1",
        spec_path="/api/v1/openapi.json",
        docs_path=None,
        json_errors=False,
        static_folder=str(_HERE / "static"),
        template_folder=str(_HERE / "templates"),
    )
    app.extensions["hamkhan"] = Runtime(settings, sessions)
    _configure(app, settings)
    security.guard(app)
    error_pages.register(app)
    _speak(app, settings)
    pages.register(app)
    console.register(app)
    rest.register(app, settings, sessions)
    return app


def _configure(app: Flask, settings: Settings) -> None:
    https = settings.base_url.startswith("https:")
    key = hashlib.sha256(b"browser session" + settings.secret.encode())
    app.secret_key = key.digest()
    app.config.update(
        MAX_CONTENT_LENGTH=MOST_POSTED,
        SEND_FILE_MAX_AGE_DEFAULT=24 * 3600,
        SESSION_COOKIE_NAME=f"{'__Host-' if https else ''}hamkhan-visit",
        SESSION_COOKIE_SECURE=https,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
    )


def _speak(app: Flask, settings: Settings) -> None:
    """Give the templates the reader's language, digits and calendar."""
    environment = app.jinja_env
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.add_extension("jinja2.ext.i18n")
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        lambda text: messages.translator(context.reader().locale).gettext(text),
        lambda one, many, n: messages.translator(context.reader().locale).ngettext(
            one, many, n
        ),
        newstyle=True,
    )
    environment.filters.update(
        num=lambda value: context.reader().num(value),
        percent=lambda share: context.reader().percent(share),
        digits=lambda text: context.reader().in_digits(text),
        day=lambda value: context.reader().day(value),
        moment=lambda value: context.reader().moment(value),
        iso=isolated,
        code=_code,
    )
    own = sorted((_HERE / "static").glob("*.[cj]s*"))
    version = hashlib.sha256(b"".join(map(Path.read_bytes, own))).hexdigest()
    environment.globals.update(
        fonts=_FONTS if (_HERE / "static" / _FONTS).exists() else None,
        version=version[:12],
        entered=forms.entered,
        form_token=security.form_token,
        told=notices.told,
        steps=notices.steps,
    )
    environment.globals["branch_name"] = lambda branch: cards.branch_name(
        branch, context.reader().locale
    )
    parts = environment.get_template("_parts.html").module
    for name in (
        "form_field",
        "mark",
        "facts",
        "reasons",
        "title",
        "asked_for",
        "faulty",
        "refused",
        "described",
        "mail_trouble",
    ):
        environment.globals[name] = getattr(parts, name)
    app.context_processor(
        lambda: {
            "reader": context.reader(),
            "patron": None if context.in_console() else context.patron_here(),
            "staff": context.staff_here() if context.in_console() else None,
            "library": _library_name(settings),
            "contact": settings.contact,
            "languages": _other_languages(),
            "theme": context.theme(),
            "here": context.this_page(),
        }
    )


def isolated(text: object, lang: str | None = None) -> Markup:
    """Put a value into its own direction, so that no neighbour changes its place."""
    way = title_direction(str(text), lang)
    return Markup('<bdi dir="{}">{}</bdi>').format(way, text)


def _code(text: object) -> Markup:
    return Markup('<bdi dir="ltr" class="code">{}</bdi>').format(escape(text))


def _library_name(settings: Settings) -> str:
    persian = context.reader().locale == messages.PERSIAN
    return settings.library_name_fa if persian else settings.library_name


def _other_languages() -> list[dict[str, str]]:
    return [
        {
            "code": locale,
            "lang": messages.html_lang(locale),
            "dir": messages.direction(locale),
            "name": messages.language_name(messages.html_lang(locale), locale),
        }
        for locale in messages.locales()
        if locale != context.reader().locale
    ]
