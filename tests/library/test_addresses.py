import pytest

from library.addresses import is_email


@pytest.mark.parametrize(
    ("address", "fine"),
    [
        ("ada@patrons.test", True),
        ("سیما@کتابخانه.test", True),
        ("ada+books@x.test", True),
        ("ada", False),
        ("@x.test", False),
        ("ada@", False),
        ("a b@x.test", False),
        ("ada@x.test\r\nBcc: b@x.test", False),
        ("a@x.test,b@x.test", False),
        ("<a@x.test>", False),
    ],
)
def test_what_could_be_an_address(address: str, fine: bool) -> None:
    assert is_email(address) == fine
