"""Rows for tests, and the cast: Ada consents, Bo does not, Cy's is nobody's to see."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from library.tables import (
    Acquisition,
    Alert,
    Branch,
    Consent,
    ContactPoint,
    Creator,
    Interest,
    InterestProfile,
    Loan,
    Patron,
    Preference,
    Source,
    Subject,
    Work,
    WorkCreator,
    WorkSubject,
)
from library.text import FOLD_VERSION, fold, sort_key, squash, title_direction
from library.vocabulary import (
    Channel,
    ConsentPurpose,
    InterestKind,
    NewMeans,
    SourceKind,
)

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
"""The moment at which tests happen."""


def make_branch(session: Session, code: str = "main") -> Branch:
    """Return the branch with this code, made if there is none."""
    found = session.scalar(select(Branch).where(Branch.code == code))
    if found:
        return found
    branch = Branch(code=code, name=code.title(), zone="UTC")
    session.add(branch)
    session.flush()
    return branch


def make_patron(  # noqa: PLR0913 -- a patron has many sides, each with a default
    session: Session,
    name: str,
    *,
    consents: Sequence[ConsentPurpose] = (),
    language: str = "en",
    branch: str = "main",
    address: str | None = None,
    at: datetime = NOON,
) -> Patron:
    """Add a patron with an e-mail address, preferences and these consents."""
    patron = Patron(
        system="test",
        external_id=name.lower(),
        name=name,
        branch_id=make_branch(session, branch).id,
        language=language,
        created_at=at,
    )
    session.add(patron)
    session.flush()
    session.add_all(
        Consent(
            patron_id=patron.id,
            purpose=purpose,
            wording="test",
            source="test",
            given_at=at,
        )
        for purpose in consents
    )
    session.add(
        ContactPoint(
            patron_id=patron.id,
            channel=Channel.EMAIL,
            address=address or f"{name.lower()}@patrons.test",
            verified_at=at,
            created_at=at,
        )
    )
    session.add(Preference(patron_id=patron.id, zone="UTC"))
    session.flush()
    return patron


def ada(session: Session) -> Patron:
    """Ada reads astronomy, and agreed to everything."""
    return make_patron(session, "Ada", consents=tuple(ConsentPurpose))


def bo(session: Session) -> Patron:
    """Bo agreed to nothing."""
    return make_patron(session, "Bo")


def cy(session: Session) -> Patron:
    """Cy reads Persian, agreed to everything, and is nobody else's business."""
    return make_patron(session, "Cy", consents=tuple(ConsentPurpose), language="fa_IR")


def make_work(
    session: Session,
    title: str,
    *,
    creator: str | None = None,
    subjects: Sequence[str] = (),
    language: str | None = "en",
    at: datetime = NOON,
) -> Work:
    """Add a work with its creator and subjects."""
    work = Work(
        key=squash(f"{title} {creator or ''}"),
        title=title,
        title_dir=title_direction(title, language),
        language=language,
        terms=fold(title),
        sort_key=sort_key(title),
        fold_version=FOLD_VERSION,
        created_at=at,
    )
    session.add(work)
    session.flush()
    if creator:
        row = session.scalar(select(Creator).where(Creator.squash == squash(creator)))
        if row is None:
            row = Creator(squash=squash(creator), name=creator)
            session.add(row)
            session.flush()
        session.add(WorkCreator(work_id=work.id, creator_id=row.id, position=0))
    for label in subjects:
        subject = session.scalar(select(Subject).where(Subject.squash == squash(label)))
        if subject is None:
            subject = Subject(scheme="local", squash=squash(label), label=label)
            session.add(subject)
            session.flush()
        session.add(WorkSubject(work_id=work.id, subject_id=subject.id))
    session.flush()
    return work


def make_loan(
    session: Session, patron: Patron, work: Work, *, at: datetime = NOON
) -> Loan:
    """Add a loan under the patron's consent to keep a history."""
    consent = session.scalar(
        select(Consent).where(
            Consent.patron_id == patron.id, Consent.purpose == ConsentPurpose.HISTORY
        )
    )
    loan = Loan(
        system="test",
        ref=f"{patron.id}|{work.id}|{at.isoformat()}",
        patron_id=patron.id,
        work_id=work.id,
        branch_id=patron.branch_id,
        consent_id=consent.id if consent else None,
        borrowed_at=at,
    )
    session.add(loan)
    session.flush()
    return loan


def make_acquisition(
    session: Session, work: Work, *, branch: str = "main", at: datetime = NOON
) -> Acquisition:
    """Make the work new at the branch, not yet matched."""
    acquisition = Acquisition(
        work_id=work.id,
        branch_id=make_branch(session, branch).id,
        eligible_at=at,
        cause=NewMeans.FIRST_SEEN,
    )
    session.add(acquisition)
    session.flush()
    return acquisition


def make_interest(
    session: Session,
    patron: Patron,
    label: str,
    *,
    kind: InterestKind = InterestKind.SUBJECT,
    weight: float = 1.0,
) -> Interest:
    """Add a stated interest to the patron's profile `main`."""
    profile = session.scalar(
        select(InterestProfile).where(InterestProfile.patron_id == patron.id)
    )
    if profile is None:
        profile = InterestProfile(patron_id=patron.id, name="main")
        session.add(profile)
        session.flush()
    interest = Interest(
        interest_profile_id=profile.id,
        kind=kind,
        squash=squash(label),
        label=label,
        weight=weight,
        created_at=NOON,
    )
    session.add(interest)
    session.flush()
    return interest


def make_alert(
    session: Session, patron: Patron, work: Work, *, at: datetime = NOON
) -> Alert:
    """Add an alert that no delivery carries yet."""
    alert = Alert(
        patron_id=patron.id, work_id=work.id, score=1.0, reasons=[], created_at=at
    )
    session.add(alert)
    session.flush()
    return alert


def make_source(
    session: Session,
    code: str = "acq",
    *,
    kind: SourceKind = SourceKind.FEED,
    url: str = "http://127.0.0.1/feed",
    silent: bool = False,
) -> Source:
    """Add a source of the main branch."""
    source = Source(
        code=code,
        kind=kind,
        url=url,
        branch_id=make_branch(session).id,
        silent=silent,
        created_at=NOON,
    )
    session.add(source)
    session.flush()
    return source
