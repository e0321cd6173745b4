"""The command line, as somebody at a terminal has it."""

import os
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner, Result

from api.cli import hamkhan
from library.runtime import Runtime

MAIN = "from api.cli import main; main()"


def invoke(runtime: Runtime, *words: str | Path, typed: str | None = None) -> Result:
    """Run a command in this process, on this installation."""
    return CliRunner().invoke(
        hamkhan, [str(word) for word in words], obj=runtime, input=typed
    )


def begin(home: Path, *words: str | Path, **env: str) -> subprocess.Popen[str]:
    """Start a command in a process of its own, on the installation in `home`."""
    return subprocess.Popen(  # noqa: S603 -- our own command
        [sys.executable, "-c", MAIN, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            "PATH": os.defpath,
            "HAMKHAN_HOME": str(home),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            **env,
        },
    )


def ended(home: Path, *words: str | Path, **env: str) -> tuple[int, str, str]:
    """Run a command to its end; return its exit code, output and errors."""
    with begin(home, *words, **env) as process:
        out, err = process.communicate(timeout=120)
    return process.returncode, out, err
