"""Librarians' pins, boosts, buries and exclusions: dated, with a reason."""

from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from flask import Blueprint, render_template, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from api import context
from api.web import forms, notices
from library.audit import Actor
from library.clock import utc_now
from library.db import reading
from library.errors import InvalidInput, NotAllowed, NotFound
from library.i18n import jalali
from library.i18n.messages import _
from library.search import search_works
from library.tables import Branch, Rule, Work
from library.vocabulary import RuleAction, RuleTarget
from recommender.rules import NewRule, end_rule, list_rules, make_rule

bp = Blueprint("rules", __name__, url_prefix="/console")

ACTIONS: Final = {
    RuleAction.PIN: _("Pin: stands first"),
    RuleAction.BOOST: _("Boost: stands higher"),
    RuleAction.BURY: _("Bury: stands lower"),
    RuleAction.EXCLUDE: _("Exclude: is never shown"),
}
TARGETS: Final = {
    RuleTarget.WORK: _("Work (its number)"),
    RuleTarget.CREATOR: _("Creator"),
    RuleTarget.SUBJECT: _("Subject"),
    RuleTarget.SERIES: _("Series"),
}
STRENGTHS: Final = {1.0: _("gently"), 2.0: _("strongly"), 4.0: _("very strongly")}
_FOUND = 20


@bp.get("/rules")
def show() -> str:
    """List the rules, and find works to make one for."""
    return _page()


@bp.post("/rules")
def make() -> Response | tuple[str, int]:
    """Make a rule from now until the day given."""
    caller, at = context.librarian(), utc_now()
    by = Actor(staff_id=caller.staff_id)
    try:
        wanted = _wanted(at)
        if caller.branch_id not in (None, wanted.branch_id):
            raise NotAllowed("a rule for another branch")
        with context.sessions().begin() as session:
            rule = make_rule(session, wanted, by=by, at=at)
    except InvalidInput as fault:
        return _page(fault), 422
    except NotFound as fault:
        return _page(InvalidInput(str(fault), field="target")), 422
    notices.tell(context.say(_("The rule for %(what)s is in force."), what=rule.label))
    return forms.see(url_for("rules.show"))


@bp.post("/rules/<int:rule_id>/end")
def end(rule_id: int) -> Response:
    """Let a rule lapse now."""
    caller, at = context.librarian(), utc_now()
    with context.sessions().begin() as session:
        rule = session.get(Rule, rule_id)
        if rule is None:
            raise NotFound(f"no rule {rule_id}")
        if caller.branch_id not in (None, rule.branch_id):
            raise NotAllowed("a rule of another branch")
        end_rule(
            session,
            rule_id,
            at=at,
            by=Actor(staff_id=caller.staff_id),
            version=forms.whole("version", 1, forms.HIGHEST_ID),
        )
    return forms.see(url_for("rules.show"))


def _wanted(at: datetime) -> NewRule:
    branch = forms.text("branch")
    action = forms.choice("action", RuleAction)
    scored = action in {RuleAction.BOOST, RuleAction.BURY}
    return NewRule(
        action=action,
        target_kind=forms.choice("target_kind", RuleTarget),
        target=forms.text("target"),
        reason=forms.text("reason"),
        starts_at=at,
        ends_at=_end_of(forms.text("ends_on")),
        branch_id=int(branch) if branch.isdecimal() else None,
        category=forms.text("category") or None,
        factor=forms.decimal("factor", 0.1, 10) if scored else None,
    )


def _end_of(typed: str) -> datetime:
    """Return the end of the day typed, in the library's zone."""
    try:
        day = jalali.parse_date(typed)
    except ValueError as error:
        raise InvalidInput(str(error), field="ends_on") from error
    zone = ZoneInfo(context.settings().zone)
    return datetime.combine(day + timedelta(days=1), time(), zone)


def _page(fault: InvalidInput | None = None) -> str:
    caller, at = context.librarian(), utc_now()
    query = request.args.get("q", "").strip()
    with reading(context.sessions()) as session:
        rules = list_rules(session, branch_id=caller.branch_id)
        branches = session.scalars(select(Branch).order_by(Branch.id)).all()
        found = search_works(session, query, _FOUND) if query else []
        chosen = _chosen(session)
    return render_template(
        "console/rules.html",
        rules=rules,
        branches=[b for b in branches if caller.branch_id in (None, b.id)],
        all_branches=caller.branch_id is None,
        branch_of={branch.id: branch for branch in branches},
        query=query,
        found=found,
        chosen=chosen,
        now=at,
        fault=fault,
        actions=ACTIONS,
        targets=TARGETS,
        strengths=STRENGTHS,
    )


def _chosen(session: Session) -> Work | None:
    number = request.args.get("work", type=int)
    return session.get(Work, number) if number else None
