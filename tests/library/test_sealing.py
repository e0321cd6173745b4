import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.errors import NotAllowed
from library.sealing import seal, unseal


@given(st.text())
def test_what_is_sealed_can_be_read_with_the_secret(text: str) -> None:
    assert unseal("secret", seal("secret", text)) == text


def test_nothing_of_it_can_be_seen_and_no_two_are_alike() -> None:
    one, two = (seal("secret", "https://books.test/sign-in/abc") for _ in range(2))

    assert "books" not in one
    assert one != two


def test_with_another_secret_it_stays_shut() -> None:
    with pytest.raises(NotAllowed):
        unseal("other", seal("secret", "x"))
