# ruff: noqa: ARG002 -- aiosmtpd calls its handlers with all it knows
"""A real mail server on loopback that answers as it is told, and keeps a log."""

import asyncio
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from types import TracebackType

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

CUT = "cut"
"""Close the connection instead of answering."""
CUT_AFTER = "cut after taking"
"""Take the message, then close the connection instead of answering."""
HANG = "hang"
"""Say nothing."""
HANG_AFTER = "hang after taking"
"""Take the message, then say nothing."""

Script = Callable[[str, str], str | None]
"""From a verb and its recipient to an answer; None: yes.

EHLO, MAIL, RCPT, READY (asked whether the message may follow), DATA (it followed).
"""


def always_yes(verb: str, recipient: str) -> str | None:
    """Take everything."""
    return None


@dataclass
class Taken:
    """A message the server has, whether or not it said so."""

    recipient: str
    sender: str
    content: bytes
    answered: bool
    options: list[str]

    @property
    def message(self) -> EmailMessage:
        found = message_from_bytes(self.content, policy=policy.default)
        assert isinstance(found, EmailMessage)
        return found

    @property
    def message_id(self) -> str:
        found = re.search(rb"(?im)^message-id: *(<[^>]+>)", self.content)
        assert found
        return found[1].decode()


@dataclass
class MailServer:
    """Runs while the context is open."""

    script: Script = always_yes
    password: str = ""
    smtputf8: bool = True
    pipelining: bool = False
    tls: ssl.SSLContext | None = None
    taken: list[Taken] = field(default_factory=list)
    verbs: list[str] = field(default_factory=list)
    connections: int = 0

    def __enter__(self) -> "MailServer":
        self._controller = _AnyPort(
            _Handler(self),
            hostname="127.0.0.1",
            port=0,
            enable_SMTPUTF8=self.smtputf8,
            auth_required=bool(self.password),
            auth_require_tls=False,
            authenticator=self._check,
            tls_context=self.tls,
            ready_timeout=10,
        )
        self._controller.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._controller.stop()

    @property
    def port(self) -> int:
        found: int = self._controller.port
        return found

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def _check(
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        kind: str,
        data: object,
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        right = data.password == self.password.encode()
        return AuthResult(success=right, handled=False)


class _AnyPort(Controller):
    """Listens on a port that was free."""

    def factory(self) -> SMTP:
        return _Conversation(self.handler, **self.SMTP_kwargs)

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


class _Conversation(SMTP):
    """Also asks its script before a message may follow."""

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802 -- aiosmtpd calls it so
        to = self.envelope.rcpt_tos if self.envelope else []
        handler = self.event_handler
        assert isinstance(handler, _Handler)
        answer = await handler.may_follow(to[0], self) if to else None
        if answer:
            await self.push(answer)
        else:
            await super().smtp_DATA(arg)


class _Handler:
    def __init__(self, owner: MailServer) -> None:
        self._owner = owner

    async def handle_EHLO(  # noqa: N802 -- aiosmtpd calls it so
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        hostname: str,
        responses: list[str],
    ) -> list[str]:
        self._owner.connections += 1
        session.host_name = hostname
        answer = await self._answer("EHLO", "", server)
        if self._owner.pipelining:
            responses.insert(1, "250-PIPELINING")
        return [answer] if answer else responses

    async def handle_MAIL(  # noqa: N802 -- aiosmtpd calls it so
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        answer = await self._answer("MAIL", "", server)
        if answer:
            return answer
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 fine"

    async def handle_RCPT(  # noqa: N802 -- aiosmtpd calls it so
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        answer = await self._answer("RCPT", address, server)
        if answer:
            return answer
        envelope.rcpt_tos.append(address)
        return "250 fine"

    async def handle_DATA(  # noqa: N802 -- aiosmtpd calls it so
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        recipient = envelope.rcpt_tos[0]
        planned = self._owner.script("DATA", recipient)
        if planned in {None, CUT_AFTER, HANG_AFTER}:
            self._keep(envelope, recipient, answered=planned is None)
        return await self._do(planned, server) or "250 2.0.0 taken"

    async def may_follow(self, recipient: str, server: SMTP) -> str | None:
        """Return what is said instead of 354, if anything."""
        return await self._answer("READY", recipient, server)

    async def _answer(self, verb: str, recipient: str, server: SMTP) -> str | None:
        return await self._do(self._owner.script(verb, recipient), server, verb)

    async def _do(
        self, planned: str | None, server: SMTP, verb: str = "DATA"
    ) -> str | None:
        self._owner.verbs.append(verb)
        if planned in {HANG, HANG_AFTER}:
            await asyncio.sleep(30)
        if planned in {CUT, CUT_AFTER}:
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
            return "421 gone"
        return planned

    def _keep(self, envelope: Envelope, recipient: str, *, answered: bool) -> None:
        content = envelope.original_content
        assert content is not None
        self._owner.taken.append(
            Taken(
                recipient,
                envelope.mail_from or "",
                content,
                answered,
                list(envelope.mail_options),
            )
        )
