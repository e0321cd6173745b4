from pathlib import Path

import pytest
from babel.messages import Catalog

from library.i18n.catalogue import Use, faults, read_catalogue, refresh, uses
from library.i18n.messages import (
    CATALOGUES,
    direction,
    gettext,
    html_lang,
    language_name,
    locales,
    nearest_locale,
    ngettext,
    translator,
)

ROOT = CATALOGUES.parents[1]
PERSIAN = Path("fa_IR", "LC_MESSAGES", "messages.po")
HEADER = (CATALOGUES / PERSIAN).read_text("utf-8").split("\n\n")[0]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A tree with one of each way to write a message, and an empty catalogue."""
    (tmp_path / "api" / "templates").mkdir(parents=True)
    (tmp_path / "api" / "code.py").write_text(
        'LABEL = _("Lazy")\n'
        'a = gettext(locale, "At once, %(name)s", name=name)\n'
        'b = ngettext(locale, "%(num)s work", "%(num)s works", n)\n'
    )
    (tmp_path / "api" / "templates" / "page.html").write_text(
        '{{ _("On a page") }}\n'
        '{{ ngettext("%(num)s loan", "%(num)s loans", n) }}\n'
        "{% trans %}In a block{% endtrans %}\n"
    )
    write_catalogue(tmp_path)
    return tmp_path


def write_catalogue(folder: Path, *entries: str) -> Path:
    path = folder / PERSIAN
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join([HEADER, *entries]) + "\n", "utf-8")
    return path


@pytest.mark.parametrize("locale", [x for x in locales() if x != "en"])
def test_nothing_is_left_untranslated(locale: str) -> None:
    catalogue = read_catalogue(CATALOGUES / locale / "LC_MESSAGES" / "messages.po")

    assert faults(uses(ROOT), catalogue) == []


def test_every_way_to_write_a_message_is_found(checkout: Path) -> None:
    assert [(use.line, use.message) for use in uses(checkout)] == [
        (1, "Lazy"),
        (2, "At once, %(name)s"),
        (3, ("%(num)s work", "%(num)s works")),
        (1, "On a page"),
        (2, ("%(num)s loan", "%(num)s loans")),
        (3, "In a block"),
    ]


def test_every_missing_message_is_named_with_its_place(checkout: Path) -> None:
    path = checkout / PERSIAN
    before = faults(uses(checkout), read_catalogue(path))
    refresh(checkout, path)
    after = faults(uses(checkout), read_catalogue(path))

    assert before[0] == "api/code.py:1: not in the catalogue: 'Lazy'"
    assert after[0] == "api/code.py:1: not translated: 'Lazy'"
    assert len(before) == len(after) == 6


def test_refreshing_keeps_translations_and_drops_what_is_unused(checkout: Path) -> None:
    path = write_catalogue(
        checkout, 'msgid "Lazy"\nmsgstr "تنبل"', 'msgid "Old"\nmsgstr "کهنه"'
    )

    refresh(checkout, path)

    assert translator("fa_IR", checkout).gettext("Lazy") == "تنبل"
    assert '"Old"' not in path.read_text("utf-8")


@pytest.mark.parametrize(
    ("message", "text", "fault"),
    [
        pytest.param("Hello %(name)s", "سلام %(nam)s", "other placeholders", id="typo"),
        pytest.param("100 %", "۱۰۰ ٪", "bare percent sign", id="percent"),
        pytest.param("Saved", "", "not translated", id="empty"),
        pytest.param(("a", "b"), ("ا", ""), "not translated", id="one plural form"),
        pytest.param("Hello %(name)s", "سلام %(name)s", None, id="right"),
    ],
)
def test_faults(
    message: str | tuple[str, str], text: str | tuple[str, str], fault: str | None
) -> None:
    catalogue = Catalog("fa_IR")
    catalogue.add(message, text)

    found = faults(iter([Use("a.py", 1, message)]), catalogue)

    assert found == ([f"a.py:1: {fault}: {message!r}"] if fault else [])


def test_persian_counts_nought_and_one_alike(tmp_path: Path) -> None:
    write_catalogue(
        tmp_path,
        'msgid "work"\nmsgid_plural "works"\nmsgstr[0] "یک"\nmsgstr[1] "چند"',
    )
    persian = translator("fa_IR", tmp_path)

    told = [persian.ngettext("work", "works", n) for n in (0, 1, 2)]

    assert told == ["یک", "یک", "چند"]


def test_a_new_language_needs_only_a_file(tmp_path: Path) -> None:
    before = locales(tmp_path / "none")
    write_catalogue(tmp_path)

    assert before == ("en",)
    assert locales(tmp_path) == ("en", "fa_IR")


def test_counts_are_shown_in_the_readers_digits() -> None:
    message = "%(num)s work", "%(num)s works"

    assert ngettext("en", *message, 1) == "1 work"
    assert ngettext("en", *message, 1200) == "1,200 works"
    assert ngettext("en", *message, 2, num="۲") == "۲ works"


def test_values_are_filled_in() -> None:
    assert gettext("en", "Hello %(name)s", name="100 %") == "Hello 100 %"


def test_bare_fa_is_no_locale() -> None:
    with pytest.raises(ValueError, match="'fa' is none of"):
        translator("fa")


@pytest.mark.parametrize(
    ("tag", "locale"),
    [
        ("fa", "fa_IR"),
        ("fa-IR", "fa_IR"),
        ("FA_ir", "fa_IR"),
        ("en-GB", "en"),
        ("de", "en"),
        ("", "en"),
        (None, "en"),
    ],
)
def test_nearest_locale(tag: str | None, locale: str) -> None:
    assert nearest_locale(tag) == locale


def test_a_page_knows_its_language_and_direction() -> None:
    assert (html_lang("fa_IR"), direction("fa_IR")) == ("fa", "rtl")
    assert (html_lang("en"), direction("en")) == ("en", "ltr")


def test_languages_have_names() -> None:
    assert language_name("fa", "en") == "Persian"
    assert language_name("fa", "fa_IR") == "فارسی"
    assert language_name("qqq", "en") == "qqq"
    assert language_name("", "en") == ""
