"""What the library has: sources, works and their editions, and what is new."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from library.db import Base, pk, short
from library.vocabulary import NewMeans, RegroupingKind, SourceKind


class Source(Base):
    """Where bib records come from, and how its reading stands."""

    __tablename__ = "source"

    id: Mapped[pk]
    code: Mapped[short] = mapped_column(unique=True)
    kind: Mapped[SourceKind]
    url: Mapped[str]
    branch_id: Mapped[int | None] = mapped_column(ForeignKey("branch.id"))
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    new_means: Mapped[NewMeans] = mapped_column(default=NewMeans.FIRST_SEEN)
    etag: Mapped[str | None]
    last_modified: Mapped[str | None]
    body_hash: Mapped[str | None]
    cursor: Mapped[dict[str, Any]] = mapped_column(default=dict)
    next_check_at: Mapped[datetime | None] = mapped_column(index=True)
    failures: Mapped[int] = mapped_column(default=0)
    silent: Mapped[bool] = mapped_column(default=True)
    """The next load announces nothing: the first one, or a backfill."""
    created_at: Mapped[datetime]


class Harvest(Base):
    """One run over one source."""

    __tablename__ = "harvest"
    __table_args__ = (Index(None, "source_id", "started_at"),)

    id: Mapped[pk]
    source_id: Mapped[int] = mapped_column(ForeignKey("source.id", ondelete="CASCADE"))
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    added: Mapped[int] = mapped_column(default=0)
    changed: Mapped[int] = mapped_column(default=0)
    withdrawn: Mapped[int] = mapped_column(default=0)
    unchanged: Mapped[int] = mapped_column(default=0)
    rejected: Mapped[int] = mapped_column(default=0)
    size: Mapped[int] = mapped_column(default=0)
    """Bytes of bodies read."""
    cause: Mapped[str | None]
    error: Mapped[str | None]


class Rejection(Base):
    """A harvested record that could not be taken, to be read and tried again."""

    __tablename__ = "rejection"

    id: Mapped[pk]
    harvest_id: Mapped[int] = mapped_column(
        ForeignKey("harvest.id", ondelete="CASCADE"), index=True
    )
    place: Mapped[str]
    """Where in the body: an entry, a byte offset, a line."""
    why: Mapped[str]
    raw: Mapped[str | None]


class Work(Base):
    """The unit recommended, whatever its editions."""

    __tablename__ = "work"

    id: Mapped[pk]
    key: Mapped[str] = mapped_column(String(400), unique=True)
    title: Mapped[str]
    title_dir: Mapped[str] = mapped_column(String(3))
    language: Mapped[str | None] = mapped_column(String(10))
    series: Mapped[str | None]
    series_squash: Mapped[str | None] = mapped_column(index=True)
    year_raw: Mapped[str | None]
    year_greg_from: Mapped[int | None]
    year_greg_to: Mapped[int | None]
    summary: Mapped[str | None]
    words: Mapped[dict[str, Any] | None]
    """A bag of words that a data set brings instead of a text: word to count."""
    terms: Mapped[str]
    sort_key: Mapped[str]
    fold_version: Mapped[int]
    created_at: Mapped[datetime]


class JoinedWork(Base):
    """A work that is part of another: its key leads there, and it is shown nowhere."""

    __tablename__ = "joined_work"

    work_id: Mapped[int] = mapped_column(
        ForeignKey("work.id", ondelete="CASCADE"), primary_key=True
    )
    into_id: Mapped[int] = mapped_column(
        ForeignKey("work.id", ondelete="CASCADE"), index=True
    )


class Regrouping(Base):
    """A librarian's split or join of works, and what it moved, to be undone."""

    __tablename__ = "regrouping"

    id: Mapped[pk]
    kind: Mapped[RegroupingKind]
    work_id: Mapped[int] = mapped_column(
        ForeignKey("work.id", ondelete="CASCADE"), index=True
    )
    """What was joined to, or split from."""
    other_id: Mapped[int] = mapped_column(
        ForeignKey("work.id", ondelete="CASCADE"), index=True
    )
    """What was joined, or split off."""
    moved: Mapped[dict[str, Any]]
    """Table to ids of rows."""
    staff_id: Mapped[int | None] = mapped_column(
        ForeignKey("staff.id", ondelete="SET NULL")
    )
    created_at: Mapped[datetime]
    undone_at: Mapped[datetime | None]


class BibRecord(Base):
    """One source's record of one edition."""

    __tablename__ = "bib_record"
    __table_args__ = (UniqueConstraint("source_id", "source_ref"),)

    id: Mapped[pk]
    source_id: Mapped[int] = mapped_column(ForeignKey("source.id", ondelete="CASCADE"))
    source_ref: Mapped[str] = mapped_column(String(400))
    work_id: Mapped[int] = mapped_column(ForeignKey("work.id"), index=True)
    isbn: Mapped[str | None] = mapped_column(String(13), index=True)
    format: Mapped[str | None]
    call_number: Mapped[str | None]
    url: Mapped[str | None]
    content_hash: Mapped[str] = mapped_column(String(64))
    raw: Mapped[dict[str, Any]]
    withdrawn_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class Creator(Base):
    """Who made a work; one row however the name is spelled or turned round."""

    __tablename__ = "creator"

    id: Mapped[pk]
    squash: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]


class WorkCreator(Base):
    """A creator's part in a work."""

    __tablename__ = "work_creator"

    work_id: Mapped[int] = mapped_column(
        ForeignKey("work.id", ondelete="CASCADE"), primary_key=True
    )
    creator_id: Mapped[int] = mapped_column(
        ForeignKey("creator.id"), primary_key=True, index=True
    )
    position: Mapped[int]


class Subject(Base):
    """A heading of a scheme; a class number is one too, in scheme `class`."""

    __tablename__ = "subject"
    __table_args__ = (UniqueConstraint("scheme", "squash"),)

    id: Mapped[pk]
    scheme: Mapped[str] = mapped_column(String(40))
    squash: Mapped[str] = mapped_column(String(400))
    label: Mapped[str]


class WorkSubject(Base):
    """A work is about a subject."""

    __tablename__ = "work_subject"

    work_id: Mapped[int] = mapped_column(
        ForeignKey("work.id", ondelete="CASCADE"), primary_key=True
    )
    subject_id: Mapped[int] = mapped_column(
        ForeignKey("subject.id"), primary_key=True, index=True
    )


class Acquisition(Base):
    """A work became new at a branch, on a day, for a cause."""

    __tablename__ = "acquisition"
    __table_args__ = (UniqueConstraint("work_id", "branch_id"),)

    id: Mapped[pk]
    work_id: Mapped[int] = mapped_column(ForeignKey("work.id", ondelete="CASCADE"))
    branch_id: Mapped[int] = mapped_column(ForeignKey("branch.id"))
    eligible_at: Mapped[datetime] = mapped_column(index=True)
    cause: Mapped[NewMeans]
    matched_at: Mapped[datetime | None] = mapped_column(index=True)
    """When matching took it up; null while it is still to do."""
