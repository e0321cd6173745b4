"""One search over folded text: works by their words, subjects by their beginning.

A work's `terms` and the query go through `library.text.terms` alike, so a word is found
in any of its spellings. A word of the query finds the words it begins.
"""

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    case,
    exists,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.orm import Session

from library.tables import BibRecord, JoinedWork, Subject, Work, WorkSubject
from library.text import isbn13, squash, terms

_WORDS = 8
"""Of a query; the rest hardly narrows, and each costs a scan."""


def found_by(query: str) -> ColumnElement[bool]:
    """Return the condition under which a work answers the query.

    An ISBN finds the work of that edition. A query without a word finds nothing.
    """
    isbn = isbn13(query)
    if isbn is not None:
        return Work.id.in_(select(BibRecord.work_id).where(BibRecord.isbn == isbn))
    words = list(dict.fromkeys(terms(query)))[:_WORDS]
    if not words:
        return literal(value=False)
    return and_(is_whole(), *(_has_word(word) for word in words))


def is_whole() -> ColumnElement[bool]:
    """Return the condition that a work is no part of another, and so is shown."""
    return ~exists().where(JoinedWork.work_id == Work.id)


def search_works(session: Session, query: str, limit: int) -> list[Work]:
    """Return works that have all the query's words, those it begins first.

    Args:
        session: Any transaction.
        query: As typed; or an ISBN.
        limit: At most so many.
    """
    beginning = _escaped(" ".join(terms(query)))
    begins = Work.terms.like(f"{beginning}%", escape="\\")
    order = case((begins, 0), else_=1)
    chosen = select(Work).where(found_by(query))
    return list(session.scalars(chosen.order_by(order, Work.id.desc()).limit(limit)))


def suggest_subjects(session: Session, prefix: str, limit: int) -> list[Subject]:
    """Return subjects to complete what is being typed, the most used first.

    Those that begin with it go before those that hold it. Class numbers are no
    suggestions.

    Args:
        session: Any transaction.
        prefix: As typed; nothing typed suggests nothing.
        limit: At most so many.
    """
    typed = _escaped(squash(prefix))
    return list(session.scalars(_suggested(typed).limit(limit))) if typed else []


def _suggested(typed: str) -> Select[Subject]:
    uses = (
        select(func.count())
        .where(WorkSubject.subject_id == Subject.id)
        .scalar_subquery()
    )
    begins = Subject.squash.like(f"{typed}%", escape="\\")
    return (
        select(Subject)
        .where(Subject.scheme != "class")
        .where(Subject.squash.like(f"%{typed}%", escape="\\"))
        .order_by(case((begins, 0), else_=1), uses.desc(), Subject.id)
    )


def _has_word(word: str) -> ColumnElement[bool]:
    return or_(
        Work.terms.like(f"{_escaped(word)}%", escape="\\"),
        Work.terms.like(f"% {_escaped(word)}%", escape="\\"),
    )


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
