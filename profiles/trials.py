"""Which arm of an experiment a patron falls into, the same on every machine. Pure.

Kohavi, Longbotham, Sommerfield, Henne: Controlled Experiments on the Web (2009): a hash
of patron and experiment, so that two experiments divide the patrons independently.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

_STEPS = 2**53
"""As fine as a float can tell shares apart."""


@dataclass(frozen=True)
class Arm:
    """One of the set-ups that are compared.

    Attributes:
        share: Of the patrons, 0 to 1.
        parts: By part of the blend, its weight; empty keeps the learnt weights.
        told: False for the hold-out: nothing that was only learnt is told.
    """

    share: float
    parts: Mapping[str, float] = field(default_factory=dict)
    told: bool = True


@dataclass(frozen=True)
class Trial:
    """A running experiment."""

    code: str
    arms: Mapping[str, Arm]

    @cached_property
    def shares(self) -> Mapping[str, float]:
        """Arm to share."""
        return {name: arm.share for name, arm in self.arms.items()}

    def arm_of(self, patron_key: str) -> str:
        """Return the name of the arm that a patron falls into."""
        return arm_of(self.code, patron_key, self.shares)

    def holds_out(self, patron_key: str) -> bool:
        """Is the patron among those who are told nothing that was only learnt?"""
        return not self.arms[self.arm_of(patron_key)].told


def share_of(experiment: str, patron_key: str) -> float:
    """Return the patron's fixed place in the experiment, from 0 to just under 1."""
    digest = hashlib.sha256(f"{experiment}\0{patron_key}".encode()).digest()
    return (int.from_bytes(digest[:8]) >> 11) / _STEPS


def arm_of(experiment: str, patron_key: str, arms: Mapping[str, float]) -> str:
    """Return the arm the patron falls into.

    Args:
        experiment: Its code.
        patron_key: What never changes of the patron: `system:external_id`.
        arms: Arm to share; the order of the names decides the cuts, not the mapping's.

    Raises:
        ValueError: The shares do not add up to 1, or one is negative.
    """
    if abs(sum(arms.values()) - 1) > 1e-9 or min(arms.values(), default=-1) < 0:
        raise ValueError(f"{experiment}: the shares of the arms must add up to 1")
    place, end = share_of(experiment, patron_key), 0.0
    names = sorted(name for name in arms if arms[name] > 0)
    for name in names:
        end += arms[name]
        if place < end:
            return name
    return names[-1]
