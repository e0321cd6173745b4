import pytest

from library.db import Sessions, reading
from library.errors import InvalidInput, NotFound
from library.text import squash
from library.vocabulary import SuppressionKind
from profiles.suppression import (
    Wish,
    is_suppressed,
    lift,
    list_suppressions,
    suppress,
    suppressed_by,
)
from tests.factories import NOON, ada, cy, make_work

WORK = {
    SuppressionKind.WORK: ["7"],
    SuppressionKind.SUBJECT: ["law", "football"],
    SuppressionKind.CREATOR: ["adasmith"],
}


@pytest.mark.parametrize(
    ("wishes", "by"),
    [
        pytest.param([], None, id="no wish"),
        pytest.param(
            [(SuppressionKind.SUBJECT, "football")],
            (SuppressionKind.SUBJECT, "football"),
            id="one of its subjects, whatever else suits",
        ),
        pytest.param([(SuppressionKind.CREATOR, "law")], None, id="another kind"),
        pytest.param([(SuppressionKind.SUBJECT, "foot")], None, id="part of a name"),
        pytest.param([(SuppressionKind.SERIES, "x")], None, id="it has no series"),
        pytest.param(
            [(SuppressionKind.SERIES, "x"), (SuppressionKind.WORK, "7")],
            (SuppressionKind.WORK, "7"),
            id="the work itself",
        ),
    ],
)
def test_the_wish_that_speaks_against_a_work_is_named(
    wishes: list[Wish], by: Wish | None
) -> None:
    assert suppressed_by(WORK, wishes) == by
    assert is_suppressed(WORK, wishes) is (by is not None)


def test_a_name_is_one_wish_in_any_spelling(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        kind = SuppressionKind.SUBJECT
        first = suppress(session, patron.id, kind, "کتاب‌داری", "", NOON)
        again = suppress(session, patron.id, kind, "كتابداري", "", NOON)
        assert again.id == first.id
        assert first.target == squash("کتابداری")
        assert first.label == "کتاب‌داری"


def test_a_work_is_wished_away_by_its_id(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron, work = ada(session), make_work(session, "Cosmos")
        kind = SuppressionKind.WORK
        wish = suppress(session, patron.id, kind, str(work.id), "", NOON)
        assert (wish.target, wish.label) == (str(work.id), "Cosmos")


@pytest.mark.parametrize(
    ("kind", "target", "error"),
    [
        pytest.param(SuppressionKind.SUBJECT, " — ", InvalidInput, id="no letter"),
        pytest.param(SuppressionKind.WORK, "Cosmos", InvalidInput, id="no id"),
        pytest.param(SuppressionKind.WORK, "٧", InvalidInput, id="other digits"),
        pytest.param(SuppressionKind.WORK, "9" * 30, InvalidInput, id="huge"),
        pytest.param(SuppressionKind.WORK, "999", NotFound, id="no such work"),
    ],
)
def test_a_wish_about_nothing_is_refused(
    sessions: Sessions, kind: SuppressionKind, target: str, error: type[Exception]
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        with pytest.raises(error):
            suppress(session, patron.id, kind, target, "", NOON)


def test_a_wish_is_lifted_by_its_patron_alone(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron, other = ada(session), cy(session)
        kind = SuppressionKind.CREATOR
        wish = suppress(session, patron.id, kind, "X", "", NOON)
        with pytest.raises(NotFound):
            lift(session, other.id, wish.id)
        lift(session, patron.id, wish.id)
    with reading(sessions) as session:
        assert list_suppressions(session, patron.id) == []


def test_nobody_cannot_wish(sessions: Sessions) -> None:
    with sessions.begin() as session, pytest.raises(NotFound):
        suppress(session, 999, SuppressionKind.CREATOR, "X", "", NOON)
