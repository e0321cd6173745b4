"""One fault run: its seed, its journal, and the figures it came to."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.faults.sizes import ASKED, SEED
from tests.notifier.mail_server import Script, always_yes

FOLDER = Path(__file__).parents[2] / "var" / "faults"


@dataclass
class Run:
    """What a fault run draws its luck from, notes and tells."""

    tell: Callable[..., None]
    """Takes figures by name, for the report."""
    seed: int = SEED
    journal: list[str] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)

    def luck(self) -> Random:
        """Return a generator that draws the same for the same seed."""
        return Random(self.seed)  # noqa: S311 -- only a spread

    def note(self, words: str) -> None:
        """Write down what happens now: a kill, a cut, a server's answer."""
        self.journal.append(f"{time.monotonic() - self._began:10.3f} {words}")

    def heard(self, script: Script = always_yes) -> Script:
        """Return the script of a mail server that notes what it is asked."""

        def answer(verb: str, recipient: str) -> str | None:
            said = script(verb, recipient)
            self.note(f"server {verb} {recipient} -> {said or 'yes'}")
            return said

        return answer


@contextmanager
def keeping(name: str, tell: Callable[[str, object], None]) -> Iterator[Run]:
    """Open a run; its journal is kept by `make faults`, in `var/faults`.

    Args:
        name: The test's.
        tell: Takes one figure at a time.
    """

    def tell_all(**figures: object) -> None:
        for figure, value in figures.items():
            tell(figure, value)

    run = Run(tell_all)
    tell("seed", run.seed)
    try:
        yield run
    finally:
        if ASKED != "taste":
            path = FOLDER / (re.sub(r"[^\w-]+", "-", name).strip("-") + ".log")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(run.journal) + "\n", encoding="utf-8")
