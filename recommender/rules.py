"""Make and end librarians' rules: dated, scoped, with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from library.audit import Actor, record
from library.errors import Conflict, InvalidInput, NotFound
from library.tables import Branch, Rule, Work
from library.text import canon, squash
from library.vocabulary import RuleAction, RuleTarget
from recommender import curation
from recommender.candidates import NOWHERE, Candidates

_SCORED = (RuleAction.BOOST, RuleAction.BURY)
_LARGEST_FACTOR = 10.0


@dataclass(frozen=True)
class NewRule:
    """What a librarian asks for.

    Attributes:
        action: What is done.
        target_kind: What the target is.
        target: A work's id, or a name in any spelling.
        reason: For colleagues, in words.
        starts_at: From when.
        ends_at: Until when; a rule without an end is refused.
        branch_id: Only for patrons of this branch.
        category: Only for patrons of this category.
        factor: Of a boost or bury, in standard deviations; None is 1.
    """

    action: RuleAction
    target_kind: RuleTarget
    target: str
    reason: str
    starts_at: datetime
    ends_at: datetime | None
    branch_id: int | None = None
    category: str | None = None
    factor: float | None = None


def make_rule(
    session: Session, wanted: NewRule, *, by: Actor | None = None, at: datetime
) -> Rule:
    """Store a rule and who made it.

    Raises:
        InvalidInput: A field cannot be accepted; `field` names it.
        NotFound: No such work or branch.
    """
    target, label = _target(session, wanted)
    ends_at = _checked_end(wanted)
    _check(session, wanted)
    rule = Rule(
        action=wanted.action,
        target_kind=wanted.target_kind,
        target=target,
        label=label,
        branch_id=wanted.branch_id,
        category=wanted.category,
        factor=wanted.factor if wanted.action in _SCORED else None,
        starts_at=wanted.starts_at,
        ends_at=ends_at,
        reason=canon(wanted.reason),
        staff_id=by.staff_id if by else None,
        created_at=at,
    )
    session.add(rule)
    session.flush()
    after = _told(rule)
    record(
        session, "rule.made", at=at, by=by, table="rule", row_id=rule.id, after=after
    )
    return rule


def end_rule(
    session: Session,
    rule_id: int,
    *,
    at: datetime,
    by: Actor | None = None,
    version: int | None = None,
) -> Rule:
    """Let a rule lapse now; one that had not begun is taken away.

    Raises:
        NotFound: No such rule.
        Conflict: It has changed since `version`.
    """
    rule = session.get(Rule, rule_id, with_for_update=True)
    if rule is None:
        raise NotFound(f"no rule {rule_id}")
    if version is not None and rule.version != version:
        raise Conflict(f"rule {rule_id} was changed by somebody else meanwhile")
    if rule.ends_at <= at:
        return rule
    was = _told(rule)
    record(
        session, "rule.ended", at=at, by=by, table="rule", row_id=rule.id, before=was
    )
    if rule.starts_at >= at:
        session.delete(rule)
    else:
        rule.ends_at = at
        rule.version += 1
    session.flush()
    return rule


def list_rules(
    session: Session, *, branch_id: int | None = None, at: datetime | None = None
) -> Sequence[Rule]:
    """Return the rules, newest first.

    Args:
        session: Reads only.
        branch_id: Those of this branch and those of all.
        at: Only those in force at this moment.
    """
    query = select(Rule).order_by(Rule.id.desc())
    if branch_id is not None:
        query = query.where((Rule.branch_id == branch_id) | Rule.branch_id.is_(None))
    if at is not None:
        query = query.where(Rule.starts_at <= at, Rule.ends_at > at)
    return session.scalars(query).all()


def rules_for(
    session: Session, candidates: Candidates, *, at: datetime
) -> list[curation.Rule]:
    """Return the rules in force, with the places of the works they name."""
    return [
        curation.Rule(
            rule_id=rule.id,
            action=rule.action,
            factor=curation.STEP if rule.factor is None else rule.factor,
            places=candidates.by_key.get(
                (rule.target_kind.value, rule.target), NOWHERE
            ),
            branch_id=rule.branch_id,
            category=rule.category,
            label=rule.label,
        )
        for rule in list_rules(session, at=at)
    ]


def _target(session: Session, wanted: NewRule) -> tuple[str, str]:
    if wanted.target_kind is not RuleTarget.WORK:
        key = squash(wanted.target)
        if not key:
            raise InvalidInput("a name needs a letter or digit", field="target")
        return key, canon(wanted.target)
    if not (wanted.target.isascii() and wanted.target.isdigit()):
        raise InvalidInput(f"{wanted.target!r} is no work's id", field="target")
    work = session.get(Work, int(wanted.target))
    if work is None:
        raise NotFound(f"no work {wanted.target}")
    return str(work.id), work.title


def _checked_end(wanted: NewRule) -> datetime:
    if wanted.ends_at is None:
        raise InvalidInput("a rule needs an end date", field="ends_at")
    if wanted.ends_at <= wanted.starts_at:
        raise InvalidInput("a rule must end after it starts", field="ends_at")
    return wanted.ends_at


def _check(session: Session, wanted: NewRule) -> None:
    if not wanted.reason.strip():
        raise InvalidInput("say why, for your colleagues", field="reason")
    if wanted.factor is not None and not 0 < wanted.factor <= _LARGEST_FACTOR:
        raise InvalidInput(
            f"a factor is above 0 and at most {_LARGEST_FACTOR:g}", field="factor"
        )
    if wanted.branch_id is not None and session.get(Branch, wanted.branch_id) is None:
        raise NotFound(f"no branch {wanted.branch_id}")


def _told(rule: Rule) -> dict[str, object]:
    return {
        "action": rule.action.value,
        "target": f"{rule.target_kind.value} {rule.label}",
        "branch_id": rule.branch_id,
        "category": rule.category,
        "ends_at": rule.ends_at.isoformat(),
        "reason": rule.reason,
    }
