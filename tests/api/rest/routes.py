"""Every route of the API, with a body that fits it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from flask import Flask

from api.rest.doors import scope_of
from library.vocabulary import ConsentPurpose

_RULE: Final[dict[str, object]] = {
    "action": "pin",
    "target_kind": "subject",
    "target": "Stars",
    "reason": "A week of stars",
    "starts_at": "2026-03-01T00:00:00Z",
    "ends_at": "2026-04-01T00:00:00Z",
}
BODIES: Final[Mapping[str, dict[str, object]]] = {
    "rest_patrons.give_consent": {"wording": "v1"},
    "rest_interests.add_profile": {"name": "thesis"},
    "rest_interests.replace_profile": {"name": "thesis"},
    "rest_interests.add_interest": {"kind": "subject", "label": "CRM"},
    "rest_interests.suppress": {"kind": "subject", "target": "football"},
    "rest_feedback.put_verdict": {"verdict": "wanted"},
    "rest_feedback.put_verdict_on_alert": {"verdict": None},
    "rest_sources.add": {"code": "new", "kind": "feed", "url": "http://x.test/feed"},
    "rest_rules.add_rule": _RULE,
    "rest_rules.replace_rule": _RULE,
    "rest_works.join": {"other_id": 2_000_000_001},
    "rest_works.split": {"editions": [1]},
    "rest_models.roll_back": {"leave": 1},
}
OPEN: Final = frozenset(["rest_problems.get_problem", "rest_reference.show"])
"""For everybody, without a key."""
SIGNED: Final = frozenset(["rest_acquisitions.post"])
"""For bodies that a source signed, without a key."""
_TABLES: Final = {
    "profile": "interest_profile",
    "version": "model_version",
}


@dataclass(frozen=True)
class Route:
    """One method of one address."""

    endpoint: str
    method: str
    rule: str
    scope: str | None

    def path(self, ids: Mapping[str, int | str]) -> str:
        """Return the address of the rows with these ids, by table."""
        parts = [_part(part, ids) for part in self.rule.split("/")]
        return "/".join(parts)

    @property
    def body(self) -> dict[str, object] | None:
        """A body that fits; None where none is taken."""
        return BODIES.get(self.endpoint)


def routes(app: Flask) -> Iterator[Route]:
    """Yield the API's routes."""
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("rest_"):
            view = app.view_functions[rule.endpoint]
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield Route(rule.endpoint, method, rule.rule, scope_of(view))


def _part(part: str, ids: Mapping[str, int | str]) -> str:
    if not part.startswith("<"):
        return part
    name = part[1:-1].rsplit(":", maxsplit=1)[-1]
    if name in {"code", "slug"}:
        return str(ids[name])
    if name == "purpose":
        return ConsentPurpose.MODEL.value
    table = name.removesuffix("_id")
    return str(ids[_TABLES.get(table, table)])
