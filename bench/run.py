"""Run the benches into bench/out/results.md: `python bench/run.py [NAME ...]`.

Each bench is a module here with `run() -> list[Result]`, run in a process of its own,
so that one's memory is not the next one's peak. SIZE=small takes a few minutes.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import platform
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
NOT_BENCHES = {"run", "measuring", "libraries", "__init__"}


def main(names: list[str]) -> None:
    sys.path.insert(0, str(HERE.parent))
    found = sorted({path.stem for path in HERE.glob("*.py")} - NOT_BENCHES)
    sections = [_section(name, _run(name)) for name in names or found]
    head = (
        "# Speed and memory\n\n"
        f"{os.cpu_count()} cores, {platform.machine()}, Python "
        f"{platform.python_version()}. Ratios are of two things measured in turns in "
        "one run; seconds are of this machine.\n"
    )
    out = HERE / "out"
    out.mkdir(exist_ok=True)
    (out / "results.md").write_text("\n".join([head, *sections]), encoding="utf-8")


def _run(name: str) -> list[tuple[str, dict[str, object]]]:
    # Not a Pool: its children may have no children of their own, and some benches do.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(_in_process, name).result()


def _in_process(name: str) -> list[tuple[str, dict[str, object]]]:
    sys.path.insert(0, str(HERE.parent))
    bench = importlib.import_module(f"bench.{name}")
    return [(result.name, dict(result.figures)) for result in bench.run()]


def _section(name: str, rows: Iterable[tuple[str, dict[str, object]]]) -> str:
    lines = [f"## {name}", ""]
    for title, figures in rows:
        told = ", ".join(f"{key} {value}" for key, value in figures.items())
        line = f"* {title}: {told}"
        print(line, flush=True)
        lines.append(line)
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main(sys.argv[1:])
