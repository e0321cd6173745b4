"""Less of what stands behind a reason: it counts half, no more, or is left out."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from library.errors import InvalidInput, NotFound
from library.tables import Creator, Loan, Subject, Suppression, Work
from library.vocabulary import ReasonKind, SuppressionKind
from profiles.interests import change_interest, show_interest
from profiles.suppression import find, lift, suppress

LEFT_OUT: Final = {
    ReasonKind.CREATOR: SuppressionKind.CREATOR,
    ReasonKind.SERIES: SuppressionKind.SERIES,
    ReasonKind.SUBJECT: SuppressionKind.SUBJECT,
}
"""Reasons that name something which can be left out for good."""
_HALF: Final = 0.5


def ref_of(reason: Mapping[str, Any]) -> tuple[ReasonKind, str] | None:
    """Return what a stored reason names; None where less of it cannot be had.

    It is a work's id for a loan, an interest's id, or the squash of a name.
    """
    kind, ref = ReasonKind(reason["kind"]), reason.get("ref")
    if ref is None or kind not in {ReasonKind.LOAN, ReasonKind.INTEREST, *LEFT_OUT}:
        return None
    return kind, str(ref)


def halve_interest(
    session: Session, patron_id: int, ref: str, *, seen: float | None = None
) -> float:
    """Let one of the patron's interests count half; return what it counted before.

    Args:
        session: An open transaction.
        patron_id: Whose.
        ref: The interest's id.
        seen: Its weight when the patron was asked: where it has another by now, nothing
            is done, so that a form sent twice is as one sent once.

    Raises:
        InvalidInput: `ref` is no number.
        NotFound: The patron has no such interest.
    """
    interest = show_interest(session, patron_id, _number(ref))
    if seen is None or seen == interest.weight:
        change_interest(session, patron_id, interest.id, weight=interest.weight * _HALF)
    return interest.weight if seen is None else seen


def restore_interest(
    session: Session, patron_id: int, ref: str, *, before: float
) -> None:
    """Give an interest the weight it had, if it has half of that now.

    Raises:
        InvalidInput: `ref` is no number.
        NotFound: The patron has no such interest.
    """
    interest = show_interest(session, patron_id, _number(ref))
    if interest.weight == before * _HALF:
        change_interest(session, patron_id, interest.id, weight=before)


def ignore_loans(
    session: Session, patron_id: int, ref: str, *, ignored: bool = True
) -> None:
    """Let the patron's loans of a work be no signal, or be one again.

    Raises:
        InvalidInput: `ref` is no number.
        NotFound: The patron did not borrow it, as far as is known.
    """
    changed = session.execute(
        update(Loan)
        .where(Loan.patron_id == patron_id, Loan.work_id == _number(ref))
        .values(ignored=ignored)
        .returning(Loan.id)
    ).all()
    if not changed:
        raise NotFound(f"no loan of work {ref}")


def leave_out(
    session: Session, patron_id: int, kind: ReasonKind, ref: str, *, at: datetime
) -> Suppression:
    """Never show the patron what a reason names, as it is spelled in the catalogue.

    Raises:
        InvalidInput: A reason of this kind names nothing that can be left out.
        NotFound: The catalogue has nothing of this name.
    """
    if kind not in LEFT_OUT:
        raise InvalidInput(f"{kind.value!r} cannot be left out", field="reason")
    label = _label(session, kind, ref)
    return suppress(session, patron_id, LEFT_OUT[kind], ref, label, at)


def lessen(
    session: Session,
    patron_id: int,
    kind: ReasonKind,
    ref: str,
    *,
    seen: float | None = None,
    at: datetime,
) -> None:
    """Let what a reason names count less, or not at all; see the functions above."""
    if kind is ReasonKind.INTEREST:
        halve_interest(session, patron_id, ref, seen=seen)
    elif kind is ReasonKind.LOAN:
        ignore_loans(session, patron_id, ref)
    else:
        leave_out(session, patron_id, kind, ref, at=at)


def restore(
    session: Session,
    patron_id: int,
    kind: ReasonKind,
    ref: str,
    *,
    seen: float | None = None,
) -> None:
    """Take `lessen` back; what is gone meanwhile stays gone."""
    if kind is ReasonKind.INTEREST:
        if seen is not None:
            restore_interest(session, patron_id, ref, before=seen)
    elif kind is ReasonKind.LOAN:
        ignore_loans(session, patron_id, ref, ignored=False)
    elif wish := find(session, patron_id, LEFT_OUT[kind], ref):
        lift(session, patron_id, wish.id)


def is_lessened(session: Session, patron_id: int, kind: ReasonKind, ref: str) -> bool:
    """Tell whether it counts for nothing now; an interest always counts for some."""
    if kind is ReasonKind.INTEREST:
        return False
    if kind is ReasonKind.LOAN:
        mine = (Loan.patron_id == patron_id, Loan.work_id == _number(ref))
        ignored = exists().where(*mine, Loan.ignored)
        return bool(session.scalar(select(ignored)))
    return find(session, patron_id, LEFT_OUT[kind], ref) is not None


def _label(session: Session, kind: ReasonKind, ref: str) -> str:
    asked: Mapping[ReasonKind, Callable[[], str | None]] = {
        ReasonKind.CREATOR: lambda: session.scalar(
            select(Creator.name).where(Creator.squash == ref)
        ),
        ReasonKind.SUBJECT: lambda: session.scalar(
            select(Subject.label).where(Subject.squash == ref).limit(1)
        ),
        ReasonKind.SERIES: lambda: session.scalar(
            select(Work.series).where(Work.series_squash == ref).limit(1)
        ),
    }
    label = asked[kind]()
    if label is None:
        raise NotFound(f"no {kind} {ref!r}")
    return label


def _number(ref: str) -> int:
    if not (ref.isascii() and ref.isdecimal()):
        raise InvalidInput(f"{ref!r} names nothing", field="reason")
    return int(ref)
