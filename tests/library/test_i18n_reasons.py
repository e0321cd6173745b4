import pytest

from library.i18n.messages import locales
from library.i18n.reasons import reason_text
from library.vocabulary import ReasonKind


@pytest.mark.parametrize("kind", list(ReasonKind))
@pytest.mark.parametrize("locale", locales())
def test_every_reason_has_a_sentence_with_and_without_a_name(
    kind: ReasonKind, locale: str
) -> None:
    named = reason_text({"kind": kind.value, "label": "C++ 100%"}, locale)
    nameless = reason_text({"kind": kind.value, "label": ""}, locale)

    assert "\u2068C++ 100%\u2069" in named
    assert nameless
    assert "%" not in nameless


def test_each_language_says_it_in_its_own_words() -> None:
    reason = {"kind": "loan", "label": "Cosmos"}

    assert reason_text(reason, "en") == "Because you borrowed \u2068Cosmos\u2069"
    assert "امانت" in reason_text(reason, "fa_IR")


@pytest.mark.parametrize("kind", [ReasonKind.LOAN, ReasonKind.SERIES])
def test_in_persian_a_title_in_a_sentence_stands_in_guillemets(
    kind: ReasonKind,
) -> None:
    said = reason_text({"kind": kind.value, "label": "کوری"}, "fa_IR")

    assert "«\u2068کوری\u2069»" in said
