"""One error tree: a class for each thing a caller would do differently.

A message names the row, field or file at fault in plain words; the command line
prints it as it is, and the API answers with it. A bug is never one of these.
"""


class ServiceError(Exception):
    """Something outside the code is at fault, and the message says what."""


class NotFound(ServiceError):
    """There is no such row, or none the caller may see."""


class NotAllowed(ServiceError):
    """The caller may not do this."""


class Conflict(ServiceError):
    """Another change came first, or the rule says only one."""


class InvalidInput(ServiceError):
    """A value cannot be accepted.

    Attributes:
        field: The field at fault, empty when it is the whole input.
    """

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class MalformedRecord(ServiceError):
    """Bytes from a source are not what their kind says."""


class FetchFailed(ServiceError):
    """A source could not be read now.

    Attributes:
        cause: A short fixed word for health pages: dns, refused, timeout, tls, status,
            too_large, redirect, not_allowed, encoding, malformed.
        retry_after: Seconds the server asked us to wait, when it did.
        status: Of the answer, where it was one of HTTP.
    """

    def __init__(
        self,
        message: str,
        *,
        cause: str,
        retry_after: int | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.cause = cause
        self.retry_after = retry_after
        self.status = status


class DeliveryFailed(ServiceError):
    """A channel did not take a message.

    Attributes:
        permanent: Trying again would not help.
        ambiguous: The message may be out: the answer never came.
        ours: The server refuses us and not the recipient.
        gone: Nobody will ever be reached there again; another way may do.
        retry_after: Seconds the server asked us to wait, when it did.
    """

    def __init__(
        self,
        reason: str,
        *,
        permanent: bool = False,
        ambiguous: bool = False,
        ours: bool = False,
        gone: bool = False,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(reason)
        self.permanent = permanent
        self.ambiguous = ambiguous
        self.ours = ours
        self.gone = gone
        self.retry_after = retry_after


class TrainingFailed(ServiceError):
    """A model could not be made; the one in use stays."""
