"""Rules: pin, boost, bury or exclude works, for a time and with a reason."""

from datetime import datetime
from typing import Any

from flask import Response, jsonify, url_for
from pydantic import Field
from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from api.auth.keys import KeyCaller
from api.rest.blueprint import part
from api.rest.doors import reads, writes
from api.rest.fields import Id, In, Long, Moment, Out, Short, Text, as_json
from api.rest.lists import listed
from api.rest.protocol.conditional import require_match, tag_of, tagged
from api.rest.protocol.paging import PageIn
from library.clock import utc_now
from library.errors import NotFound
from library.tables import Rule
from library.vocabulary import RuleAction, RuleTarget
from recommender.rules import NewRule, end_rule, make_rule

bp = part("rules")


class RulesIn(PageIn):
    """Which rules."""

    at: Moment | None = Field(default=None, description="In force at this moment.")


class RuleIn(In):
    """A rule to make."""

    action: RuleAction
    target_kind: RuleTarget
    target: Text = Field(description="A work's id, or a name in any spelling.")
    reason: Long
    starts_at: Moment
    ends_at: Moment
    branch_id: Id | None = None
    category: Short | None = None
    factor: float | None = Field(
        default=None,
        gt=0,
        le=10,
        allow_inf_nan=False,
        description="Of a boost or bury, in standard deviations; else 1.",
    )


class RuleOut(Out):
    """A librarian's rule."""

    id: int
    action: RuleAction
    target_kind: RuleTarget
    target: str
    label: str
    branch_id: int | None
    category: str | None
    factor: float | None
    starts_at: datetime
    ends_at: datetime
    reason: str
    staff_id: int | None
    version: int
    created_at: datetime


class RulesOut(Out):
    """A page of rules."""

    items: list[RuleOut]


@bp.get("/rules")
@reads("rules")
@bp.input(RulesIn, location="query")
@bp.output(RulesOut)
def list_rules(
    session: Session, caller: KeyCaller, query_data: RulesIn
) -> tuple[dict[str, Any], int, dict[str, str]]:
    """List rules, the newest first, the ended ones too."""
    return listed(
        session,
        _chosen(caller, query_data.at),
        Rule.id,
        query_data,
        RuleOut.model_validate,
        newest_first=True,
    )


@bp.get("/rules/<int:rule_id>")
@reads("rules")
@bp.output(RuleOut)
def get_rule(session: Session, caller: KeyCaller, rule_id: int) -> Response:
    """Return a rule, with its ETag."""
    rule = _find(session, rule_id)
    if rule.branch_id is not None:
        caller.needs_branch(rule.branch_id)
    return _answer(rule)


@bp.post("/rules")
@writes("rules")
@bp.input(RuleIn)
@bp.output(RuleOut, status_code=201)
def add_rule(session: Session, caller: KeyCaller, json_data: RuleIn) -> Response:
    """Make a rule."""
    return _made(session, caller, json_data)


@bp.put("/rules/<int:rule_id>")
@writes("rules")
@bp.input(RuleIn)
@bp.output(RuleOut, status_code=201)
def replace_rule(
    session: Session, caller: KeyCaller, rule_id: int, json_data: RuleIn
) -> Response:
    """End a rule and make another in its place, at a new address; needs If-Match.

    What a rule did while it was in force stays told by it, so no rule is rewritten.
    """
    _end(session, caller, rule_id)
    return _made(session, caller, json_data)


@bp.delete("/rules/<int:rule_id>")
@writes("rules")
@bp.output({}, status_code=204)
def remove_rule(session: Session, caller: KeyCaller, rule_id: int) -> str:
    """End a rule now; needs If-Match."""
    _end(session, caller, rule_id)
    return ""


def _chosen(caller: KeyCaller, at: datetime | None) -> Select[Rule]:
    rows = select(Rule)
    if caller.branch_id is not None:
        mine = Rule.branch_id == caller.branch_id
        rows = rows.where(or_(mine, Rule.branch_id.is_(None)))
    if at is not None:
        rows = rows.where(Rule.starts_at <= at, Rule.ends_at > at)
    return rows


def _find(session: Session, rule_id: int, *, held: bool = False) -> Rule:
    rule = session.get(Rule, rule_id, with_for_update=held)
    if rule is None:
        raise NotFound(f"no rule {rule_id}")
    return rule


def _made(session: Session, caller: KeyCaller, wanted: RuleIn) -> Response:
    caller.needs_branch(wanted.branch_id)
    rule = make_rule(session, NewRule(**dict(wanted)), by=caller.actor, at=utc_now())
    answer = _answer(rule, 201)
    answer.headers["Location"] = url_for("rest_rules.get_rule", rule_id=rule.id)
    return answer


def _end(session: Session, caller: KeyCaller, rule_id: int) -> None:
    rule = _find(session, rule_id, held=True)
    caller.needs_branch(rule.branch_id)
    require_match(tag_of(_state(rule)))
    end_rule(session, rule_id, by=caller.actor, at=utc_now())


def _state(rule: Rule) -> dict[str, Any]:
    return as_json(RuleOut.model_validate(rule))


def _answer(rule: Rule, status: int = 200) -> Response:
    answer = jsonify(_state(rule))
    answer.status_code = status
    return tagged(answer, tag_of(_state(rule)))
