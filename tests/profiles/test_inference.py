import pytest

from library.db import Sessions, reading
from library.errors import NotFound
from library.vocabulary import (
    Channel,
    ConsentPurpose,
    InterestKind,
    InterestOrigin,
    Verdict,
)
from profiles import consent
from profiles.feedback import record_verdict
from profiles.inference import infer, infer_all
from profiles.interests import add_interest, list_profiles, remove_interest
from tests.factories import NOON, ada, bo, make_loan, make_patron, make_work


def _borrows_stars(sessions: Sessions) -> int:
    with sessions.begin() as session:
        patron = ada(session)
        for title in ("Cosmos", "Contact"):
            work = make_work(session, title, creator="Sagan", subjects=["Stars"])
            make_loan(session, patron, work)
        return patron.id


def _infer(sessions: Sessions, patron_id: int) -> dict[str, InterestOrigin]:
    with sessions.begin() as session:
        infer(session, patron_id, NOON)
    with reading(sessions) as session:
        return {
            interest.label: interest.origin
            for profile in list_profiles(session, patron_id)
            for interest in profile.interests
            if interest.active
        }


INFERRED = InterestOrigin.INFERRED


def test_loans_speak_of_creators_and_subjects(sessions: Sessions) -> None:
    patron_id = _borrows_stars(sessions)
    expected = {"Stars": INFERRED, "Sagan": INFERRED}
    assert _infer(sessions, patron_id) == expected
    assert _infer(sessions, patron_id) == expected


def test_what_no_longer_speaks_goes(sessions: Sessions) -> None:
    patron_id = _borrows_stars(sessions)
    _infer(sessions, patron_id)
    with sessions.begin() as session:
        for n in (1, 2):
            work = make_work(session, f"W{n}", subjects=["Stars"])
            record_verdict(
                session,
                patron_id=patron_id,
                work_id=work.id,
                verdict=Verdict.NOT_FOR_ME,
                via=Channel.PAGE,
                at=NOON,
            )
    assert _infer(sessions, patron_id) == {"Sagan": INFERRED}


def test_what_was_stated_or_switched_off_is_left_alone(sessions: Sessions) -> None:
    patron_id = _borrows_stars(sessions)
    with sessions.begin() as session:
        kind = InterestKind.SUBJECT
        add_interest(session, patron_id, kind=kind, label="stars", at=NOON)
    _infer(sessions, patron_id)
    with sessions.begin() as session:
        (profile,) = list_profiles(session, patron_id)
        sagan = next(i for i in profile.interests if i.label == "Sagan")
        remove_interest(session, patron_id, sagan.id)
    assert _infer(sessions, patron_id) == {"stars": InterestOrigin.STATED}


def test_a_loan_switched_off_does_not_speak(sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        for title in ("Cosmos", "Contact"):
            work = make_work(session, title, subjects=["Stars"])
            make_loan(session, patron, work).ignored = True
    assert _infer(sessions, patron.id) == {}


@pytest.mark.parametrize("purpose", [ConsentPurpose.MODEL, ConsentPurpose.HISTORY])
def test_without_consent_loans_say_nothing(
    sessions: Sessions, purpose: ConsentPurpose
) -> None:
    others = [p for p in ConsentPurpose if p is not purpose]
    with sessions.begin() as session:
        patron = make_patron(session, "Di", consents=others)
        for title in ("Cosmos", "Contact"):
            make_loan(session, patron, make_work(session, title, subjects=["Stars"]))
        # Nor does what was concluded before stay.
        add_interest(
            session, patron.id, kind=InterestKind.SUBJECT, label="Old", at=NOON,
            origin=INFERRED,
        )  # fmt: skip
    assert _infer(sessions, patron.id) == {}


def test_withdrawing_leaves_nothing_to_infer_from(sessions: Sessions) -> None:
    patron_id = _borrows_stars(sessions)
    _infer(sessions, patron_id)
    with sessions.begin() as session:
        consent.withdraw(session, patron_id, ConsentPurpose.HISTORY, at=NOON)
    assert _infer(sessions, patron_id) == {}


def test_everybody_is_inferred_for_and_progress_told(sessions: Sessions) -> None:
    patron_id = _borrows_stars(sessions)
    with sessions.begin() as session:
        bo(session)
    told: list[tuple[int, int | None]] = []

    done = infer_all(sessions, at=NOON, progress=lambda n, of: told.append((n, of)))

    assert done == 2
    assert told == [(1, 2), (2, 2)]
    assert "Stars" in _infer(sessions, patron_id)


def test_nobody_has_no_interests(sessions: Sessions) -> None:
    with sessions.begin() as session, pytest.raises(NotFound):
        infer(session, 999, NOON)
