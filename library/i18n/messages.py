"""What pages and mails say, in the reader's language; no web framework needed.

The English text is the message. A catalogue `library/locale/<locale>/LC_MESSAGES/
messages.po` turns it into another language, and is read as it is: nothing to compile.
A new language needs only such a file.

Write a message so that it is found (`library.i18n.catalogue` collects them):

* Python, locale at hand: `gettext(locale, "Saved.")`, `ngettext(locale, "%(num)s work",
  "%(num)s works", count)`.
* Python, locale not known yet: `LABEL = _("Saved.")`, later `gettext(locale, LABEL)`.
* Templates: `{{ _("Saved.") }}`, `{{ ngettext("%(num)s work", "%(num)s works", n) }}`
  or `{% trans %}`, installed from `translator(locale)` (Jinja's newstyle callables).

Values are named, `%(title)s`; a bare percent sign may not stand in a message.
"""

from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Final

from babel import Locale, UnknownLocaleError
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

from library.i18n.numbers import num

ENGLISH: Final = "en"
PERSIAN: Final = "fa_IR"
CATALOGUES = Path(__file__).parents[1] / "locale"


def _(message: str) -> str:
    """Mark a message for the catalogue; it is translated when it is shown."""
    return message


@cache
def locales(folder: Path = CATALOGUES) -> tuple[str, ...]:
    """Return the locales there are texts for, English first."""
    return ENGLISH, *sorted(p.parents[1].name for p in folder.glob("*/*/*.po"))


def nearest_locale(tag: str | None) -> str:
    """Return the locale for a language tag ("fa", "fa-IR", "en-GB"); English if none.

    For what comes from outside: a header, an import, a form. Bare "fa" becomes fa_IR,
    whose week begins on Saturday.
    """
    language = (tag or "").replace("_", "-").lower().split("-")[0]
    return next((x for x in locales() if x.split("_")[0] == language), ENGLISH)


@cache
def translator(locale: str, folder: Path = CATALOGUES) -> NullTranslations:
    """Return the catalogue of a locale: `gettext` and `ngettext`, values not filled in.

    Raises:
        ValueError: There is no such locale here; bare "fa" is none.
    """
    if locale not in locales(folder):
        raise ValueError(f"{locale!r} is none of {locales(folder)}")
    path = folder / locale / "LC_MESSAGES" / "messages.po"
    if not path.exists():
        return NullTranslations()
    compiled = BytesIO()
    with path.open("rb") as file:
        write_mo(compiled, read_po(file, locale))
    compiled.seek(0)
    return Translations(compiled)


def gettext(locale: str, message: str, **values: object) -> str:
    """Return a message in the reader's language, the values filled in."""
    text: str = translator(locale).gettext(message)
    return text % values if values else text


def ngettext(
    locale: str, singular: str, plural: str, count: int, **values: object
) -> str:
    """Return a counted message; `%(num)s` is `count` in the locale's digits.

    Pass `num` among the values to show it in the digits that a patron chose.
    """
    text: str = translator(locale).ngettext(singular, plural, count)
    return text % {"num": num(count, locale), **values}


def direction(locale: str) -> str:
    """Return "rtl" or "ltr", for the `dir` of a page or mail."""
    return Locale.parse(locale).text_direction


def html_lang(locale: str) -> str:
    """Return the `lang` of a page or mail: "fa", "en"."""
    return Locale.parse(locale).language


def language_name(code: str, locale: str) -> str:
    """Return the name of a language in the reader's; the code itself if unknown."""
    try:
        return Locale.parse(code, sep="-").get_display_name(locale) or code
    except (UnknownLocaleError, ValueError):
        return code
