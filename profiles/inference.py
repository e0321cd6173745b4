"""Keep what a patron's loans and verdicts say of their interests.

Recomputed whole per patron, so it is safe to run at any time. What the patron stated or
switched off is left alone.
"""

from collections import defaultdict
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from library.db import Sessions
from library.errors import NotFound
from library.jobs import Progress, no_progress
from library.tables import (
    Creator,
    Feedback,
    Interest,
    InterestProfile,
    Loan,
    Patron,
    Subject,
    WorkCreator,
    WorkSubject,
)
from library.vocabulary import ConsentPurpose, InterestKind, InterestOrigin
from profiles import consent
from profiles.interest_profiles import MAIN, add_profile
from profiles.patrons import hold_still
from profiles.signals import Inferred, Signal, Term, infer_interests, strength_of


def infer(session: Session, patron_id: int, at: datetime) -> int:
    """Write the patron's inferred interests anew; return how many there are.

    Without consent to the model nothing is read and none stay; without consent to a
    history only verdicts speak.

    Args:
        session: An open transaction.
        patron_id: Whose.
        at: The moment from which the age of signals is counted.

    Raises:
        NotFound: No such patron.
    """
    hold_still(session, patron_id)
    agrees = consent.has(session, patron_id, ConsentPurpose.MODEL)
    inferred = infer_interests(_signals(session, patron_id), at=at) if agrees else []
    profile_id = _profile(session, patron_id)
    if profile_id is None and inferred:
        profile_id = add_profile(session, patron_id, MAIN)
    return _keep(session, profile_id, inferred, at) if profile_id else 0


def infer_all(
    sessions: Sessions, *, at: datetime, progress: Progress = no_progress
) -> int:
    """Infer for every patron, each in a transaction of their own; return how many."""
    with sessions() as session:
        patron_ids = session.scalars(select(Patron.id).order_by(Patron.id)).all()
    for done, patron_id in enumerate(patron_ids, 1):
        # Who was erased meanwhile is not found.
        with suppress(NotFound), sessions.begin() as session:
            infer(session, patron_id, at)
        progress(done, len(patron_ids))
    return len(patron_ids)


def _signals(session: Session, patron_id: int) -> list[Signal]:
    loans = (
        select(Loan.work_id, Loan.borrowed_at)
        .where(Loan.patron_id == patron_id, Loan.ignored.is_(False))
        .order_by(Loan.id)
    )
    verdicts = (
        select(Feedback.work_id, Feedback.given_at, Feedback.verdict)
        .where(Feedback.patron_id == patron_id)
        .order_by(Feedback.id)
    )
    said = [
        (row.work_id, row.given_at, row.verdict) for row in session.execute(verdicts)
    ]
    if consent.has(session, patron_id, ConsentPurpose.HISTORY):
        said += [(row.work_id, row.borrowed_at, None) for row in session.execute(loans)]
    terms = _terms(session, {work_id for work_id, *_ in said})
    return [
        Signal(work_id, strength_of(verdict), when, terms[work_id])
        for work_id, when, verdict in said
    ]


def _terms(
    session: Session, work_ids: Collection[int]
) -> defaultdict[int, tuple[Term, ...]]:
    terms: defaultdict[int, tuple[Term, ...]] = defaultdict(tuple)
    ids = sorted(work_ids)
    # Few enough at once for the parameters a database takes.
    for start in range(0, len(ids), 500):
        few = ids[start : start + 500]
        for kind, query in _queries(few).items():
            for work_id, squash, label in session.execute(query):
                terms[work_id] += (Term(kind, squash, label),)
    return terms


def _queries(work_ids: list[int]) -> dict[InterestKind, Select[int, str, str]]:
    subjects = (
        select(WorkSubject.work_id, Subject.squash, Subject.label)
        .join(Subject, Subject.id == WorkSubject.subject_id)
        .where(WorkSubject.work_id.in_(work_ids), Subject.scheme != "class")
        .order_by(WorkSubject.work_id, Subject.id)
    )
    creators = (
        select(WorkCreator.work_id, Creator.squash, Creator.name)
        .join(Creator, Creator.id == WorkCreator.creator_id)
        .where(WorkCreator.work_id.in_(work_ids))
        .order_by(WorkCreator.work_id, WorkCreator.position)
    )
    return {InterestKind.SUBJECT: subjects, InterestKind.CREATOR: creators}


def _profile(session: Session, patron_id: int) -> int | None:
    return session.scalar(
        select(InterestProfile.id).where(
            InterestProfile.patron_id == patron_id, InterestProfile.name == MAIN
        )
    )


def _keep(
    session: Session, profile_id: int, inferred: list[Inferred], at: datetime
) -> int:
    there = {
        (interest.kind, interest.squash): interest
        for interest in session.scalars(
            select(Interest).where(Interest.interest_profile_id == profile_id)
        )
    }
    for each in inferred:
        key = (each.term.kind, each.term.squash)
        interest = there.pop(key, None)
        if interest is None:
            session.add(_new(profile_id, each, at))
        elif interest.origin is InterestOrigin.INFERRED:
            interest.weight, interest.label = each.weight, each.term.label
    for left in there.values():
        # A switched-off one stays as the patron's "no".
        if left.origin is InterestOrigin.INFERRED and left.active:
            session.delete(left)
    session.flush()
    return len(inferred)


def _new(profile_id: int, inferred: Inferred, at: datetime) -> Interest:
    return Interest(
        interest_profile_id=profile_id,
        kind=inferred.term.kind,
        squash=inferred.term.squash,
        label=inferred.term.label,
        weight=inferred.weight,
        origin=InterestOrigin.INFERRED,
        created_at=at,
    )
