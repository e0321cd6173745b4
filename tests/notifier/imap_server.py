"""A mailbox of few words on loopback: the IMAP commands that taking in mail needs."""

import re
import socketserver
from dataclasses import dataclass, field
from threading import Thread
from types import TracebackType


@dataclass
class ImapServer:
    """Runs while the context is open."""

    messages: list[bytes]
    password: str = "s3cret"
    folder: str = "INBOX"
    seen: set[int] = field(default_factory=set)
    heard: list[str] = field(default_factory=list)

    def __enter__(self) -> "ImapServer":
        owner = self

        class Visit(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(b"* OK ready\r\n")
                for line in self.rfile:
                    tag, said = line.decode().strip().split(" ", 1)
                    self.wfile.write(owner.answer(said))
                    done = owner.verdict(said)
                    self.wfile.write(f"{tag} {done}\r\n".encode())
                    if said.upper() == "LOGOUT":
                        return

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Visit)
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def verdict(self, said: str) -> str:
        """Say whether a command is done."""
        self.heard.append(said)
        if said.startswith("LOGIN"):
            return "OK in" if f'"{self.password}"' in said else "NO wrong password"
        if said.startswith("SELECT") and f'"{self.folder}"' not in said:
            return "NO there is no such folder"
        return "OK done"

    def answer(self, said: str) -> bytes:
        """Return what comes before the verdict."""
        if said.upper().startswith("CAPABILITY"):
            return b"* CAPABILITY IMAP4rev1\r\n"
        if said.startswith("SELECT"):
            return f"* {len(self.messages)} EXISTS\r\n".encode()
        if said.startswith("UID SEARCH UNSEEN"):
            left = [n for n in range(1, len(self.messages) + 1) if n not in self.seen]
            return f"* SEARCH {' '.join(map(str, left))}\r\n".encode()
        if found := re.match(r"UID FETCH (\d+) ", said):
            body = self.messages[int(found[1]) - 1]
            head = f"* {found[1]} FETCH (UID {found[1]} BODY[]<0> {{{len(body)}}}\r\n"
            return head.encode() + body + b")\r\n"
        if found := re.match(r"UID STORE (\d+) \+FLAGS \(\\Seen\)", said):
            self.seen.add(int(found[1]))
        return b""
