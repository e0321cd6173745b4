"""JSON as the API reads and writes it."""

from typing import Any

from flask.json.provider import DefaultJSONProvider


class Bodies(DefaultJSONProvider):
    """Persian stays readable, and a body nested past all sense is only a bad body."""

    ensure_ascii = False

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Read JSON.

        Raises:
            ValueError: It is none, or nested too deep to be read.
        """
        try:
            return super().loads(s, **kwargs)
        except RecursionError as error:
            raise ValueError("nested too deep") from error
