from datetime import timedelta

import pytest
from sqlalchemy import select

from library.db import Sessions, reading
from library.errors import NotFound
from library.tables import (
    Alert,
    Consent,
    Feedback,
    Hold,
    Impression,
    Interest,
    Loan,
    Match,
    ModelVersion,
    ShelfEntry,
)
from library.vocabulary import (
    Channel,
    ConsentPurpose,
    InterestOrigin,
    ModelState,
    Verdict,
)
from profiles import consent
from tests.factories import (
    NOON,
    ada,
    bo,
    cy,
    make_alert,
    make_interest,
    make_loan,
    make_work,
)

LATER = NOON + timedelta(days=1)
BY_LOAN = {"kind": "loan", "ref": 1, "label": "Cosmos", "share": 0.6}
BY_INTEREST = {"kind": "interest", "ref": 1, "label": "Stars", "share": 0.4}


def _give(sessions: Sessions, patron_id: int, **how: object) -> int:
    with sessions.begin() as session:
        return consent.give(
            session,
            patron_id,
            ConsentPurpose.MODEL,
            wording=str(how.get("wording", "v1")),
            source="page",
            at=LATER if how.get("later") else NOON,
            covers_past=bool(how.get("covers_past")),
        ).id


def test_nothing_is_agreed_to_before_it_is_given(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = bo(session)
        assert not any(consent.has(session, patron.id, p) for p in ConsentPurpose)
    _give(sessions, patron.id)
    with reading(sessions) as session:
        given = [p for p in ConsentPurpose if consent.has(session, patron.id, p)]
        assert given == [ConsentPurpose.MODEL]
        agreeing = consent.consenting(ConsentPurpose.MODEL)
        assert session.scalars(agreeing).all() == [patron.id]


def test_the_same_words_twice_are_one_consent_and_others_a_new_one(
    sessions: Sessions,
) -> None:
    with sessions.begin() as session:
        patron = bo(session)
    first = _give(sessions, patron.id)
    assert _give(sessions, patron.id, later=True) == first
    second = _give(sessions, patron.id, later=True, wording="v2")
    assert second != first
    third = _give(sessions, patron.id, wording="v2", covers_past=True)

    with reading(sessions) as session:
        rows = consent.list_consents(session, patron.id)
        live = [row.id for row in rows if row.withdrawn_at is None]
    assert live == [third]


def test_given_again_in_the_moment_it_was_withdrawn_holds(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = bo(session)
    _give(sessions, patron.id)
    with sessions.begin() as session:
        consent.withdraw(session, patron.id, ConsentPurpose.MODEL, at=NOON)
    _give(sessions, patron.id)
    with reading(sessions) as session:
        assert consent.has(session, patron.id, ConsentPurpose.MODEL)


def test_nobody_cannot_consent(sessions: Sessions) -> None:
    with pytest.raises(NotFound):
        _give(sessions, 999)


def _with_traces(sessions: Sessions) -> int:
    with sessions.begin() as session:
        patron, other = ada(session), cy(session)
        work = make_work(session, "Cosmos", subjects=["Astronomy"])
        new = make_work(session, "Contact")
        for each in (patron, other):
            make_loan(session, each, work)
            stated = make_interest(session, each, "Stars")
            inferred = make_interest(session, each, "Astronomy")
            inferred.origin = InterestOrigin.INFERRED
            assert stated.origin is InterestOrigin.STATED
        session.add_all(
            [
                Hold(
                    system="t", ref="1", patron_id=patron.id, work_id=new.id,
                    placed_at=NOON,
                ),
                Feedback(
                    patron_id=patron.id, work_id=work.id, verdict=Verdict.WANTED,
                    given_at=NOON, via=Channel.PAGE,
                ),
            ]
        )  # fmt: skip
        version = ModelVersion(state=ModelState.CURRENT, seed=0, created_at=NOON)
        session.add(version)
        session.flush()
        for each_work, reasons in ((work, [BY_LOAN]), (new, [BY_LOAN, BY_INTEREST])):
            session.add(
                Match(
                    patron_id=patron.id,
                    work_id=each_work.id,
                    model_version_id=version.id,
                    score=1.0,
                    rank=1,
                    reasons=reasons,
                    created_at=NOON,
                )
            )
        session.add(
            ShelfEntry(
                patron_id=patron.id,
                shelf="for_you",
                rank=1,
                work_id=new.id,
                score=1.0,
                reasons=[BY_LOAN],
                created_at=NOON,
            )
        )
        make_alert(session, patron, new).reasons = [BY_LOAN]
        return patron.id


@pytest.mark.parametrize("purpose", [ConsentPurpose.HISTORY, ConsentPurpose.MODEL])
def test_withdrawing_removes_what_was_concluded(
    sessions: Sessions, purpose: ConsentPurpose
) -> None:
    patron_id = _with_traces(sessions)

    with sessions.begin() as session:
        consent.withdraw(session, patron_id, purpose, at=LATER)

    with reading(sessions) as session:
        labels = sorted(session.scalars(select(Interest.label)))
        assert labels == ["Astronomy", "Stars", "Stars"]  # the first is Cy's
        assert [m.reasons for m in session.scalars(select(Match))] == [[BY_INTEREST]]
        assert session.scalars(select(ShelfEntry)).all() == []
        assert [a.reasons for a in session.scalars(select(Alert))] == [[]]
        assert len(session.scalars(select(Feedback)).all()) == 1


@pytest.mark.parametrize(
    ("purpose", "loans", "holds"),
    [
        pytest.param(ConsentPurpose.HISTORY, 1, 0, id="history: Cy's loan is left"),
        pytest.param(ConsentPurpose.MODEL, 2, 1, id="model: the history stays"),
        pytest.param(ConsentPurpose.ALERTS, 2, 1, id="alerts: nothing to do with it"),
    ],
)
def test_withdrawing_the_history_removes_it(
    sessions: Sessions, purpose: ConsentPurpose, loans: int, holds: int
) -> None:
    patron_id = _with_traces(sessions)

    with sessions.begin() as session:
        consent.withdraw(session, patron_id, purpose, at=LATER)

    with reading(sessions) as session:
        assert not consent.has(session, patron_id, purpose)
        assert len(session.scalars(select(Loan)).all()) == loans
        assert len(session.scalars(select(Hold)).all()) == holds
        withdrawn = session.scalars(
            select(Consent.withdrawn_at).where(
                Consent.patron_id == patron_id, Consent.purpose == purpose
            )
        )
        assert withdrawn.all() == [LATER]


def test_withdrawing_tracking_unnames_what_was_shown(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        work = make_work(session, "Cosmos")
        session.add(
            Impression(
                list_ref="list 1",
                patron_id=patron.id,
                work_id=work.id,
                place="digest",
                rank=1,
                shown_at=NOON,
            )
        )
        session.flush()
        consent.withdraw(session, patron.id, ConsentPurpose.TRACKING, at=LATER)
    with reading(sessions) as session:
        shown = session.scalars(select(Impression)).one()
        assert shown.patron_id is None
        assert shown.list_ref != "list 1"


def test_withdrawing_what_was_never_given_changes_nothing(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = bo(session)
        consent.withdraw(session, patron.id, ConsentPurpose.HISTORY, at=NOON)
        assert consent.list_consents(session, patron.id) == []
