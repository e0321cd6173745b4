import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.trials import arm_of, share_of

ARMS = {"as before": 0.45, "new": 0.45, "hold-out": 0.1}


def test_is_the_same_on_every_machine() -> None:
    # printf 'digest-length\0koha:42' | sha256sum
    expected = (0x287B3666F3D19607 >> 11) / 2**53
    assert share_of("digest-length", "koha:42") == expected
    assert arm_of("digest-length", "koha:42", ARMS) == "as before"


def test_each_arm_gets_its_share() -> None:
    arms = [arm_of("digest-length", f"koha:{i}", ARMS) for i in range(20_000)]

    for arm, share in ARMS.items():
        assert arms.count(arm) / len(arms) == pytest.approx(share, abs=0.02)


def test_two_experiments_divide_independently() -> None:
    both = [
        (arm_of("one", f"{i}", ARMS), arm_of("two", f"{i}", ARMS))
        for i in range(20_000)
    ]

    overlap = both.count(("new", "new")) / len(both)
    assert overlap == pytest.approx(0.45 * 0.45, abs=0.02)


@given(st.text(), st.text())
def test_every_patron_has_an_arm(experiment: str, patron: str) -> None:
    assert arm_of(experiment, patron, ARMS) in ARMS
    assert 0 <= share_of(experiment, patron) < 1


def test_the_order_the_arms_are_written_in_does_not_matter() -> None:
    turned = dict(reversed(ARMS.items()))

    for i in range(200):
        assert arm_of("x", str(i), ARMS) == arm_of("x", str(i), turned)


def test_an_arm_of_no_share_gets_nobody() -> None:
    assert {arm_of("x", str(i), {"a": 0.0, "b": 1.0}) for i in range(50)} == {"b"}


@pytest.mark.parametrize("arms", [{}, {"a": 0.5}, {"a": 1.5, "b": -0.5}])
def test_refuses_shares_that_do_not_add_up(arms: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="add up"):
        arm_of("x", "1", arms)
