"""An evaluation as a picture and as the table beside it. Pure.

The chart is one SVG without script or font of its own: bars with their 95 % intervals,
ours marked by pattern and word, not by colour alone. The table holds every figure.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from xml.sax.saxutils import escape

from recommender.figures import Line

_COLUMNS = (
    "protocol",
    "group",
    "scorer",
    "metric",
    "value",
    "low",
    "high",
    "patrons",
)
_WIDTH, _LEFT, _BAR, _GAP, _TOP = 640, 220, 16, 6, 56
_RIGHT = 60
_SCALE = _WIDTH - _LEFT - _RIGHT


def draw_chart(lines: Sequence[Line], *, metric: str, ours: str) -> str:
    """Return an SVG of one metric by protocol, group and scorer, best first."""
    shown = sorted(
        (line for line in lines if line.metric == metric),
        key=lambda line: (line.protocol, line.group != "all", line.group, -line.value),
    )
    largest = max((line.high for line in shown), default=0) or 1.0
    height = _TOP + len(shown) * (_BAR + _GAP) + 16
    bars = "\n".join(_bar(line, at, largest, ours) for at, line in enumerate(shown))
    title = escape(f"{metric} by protocol, group and scorer")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" '
        f'viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" font-size="12">\n'
        f"<title>{title}</title>\n"
        "<desc>Bars are means over patrons, thin lines their 95 % intervals. "
        "Every figure stands in the table beside.</desc>\n"
        f'<text x="8" y="24" font-size="16">{title}</text>\n'
        f"{bars}\n</svg>\n"
    )


def write_table(lines: Sequence[Line]) -> str:
    """Return every figure as CSV, a line each."""
    file = io.StringIO(newline="")
    table = csv.writer(file, lineterminator="\n")
    table.writerow(_COLUMNS)
    for line in lines:
        table.writerow(
            [
                line.protocol,
                line.group,
                line.scorer,
                line.metric,
                *(f"{value:.6f}" for value in (line.value, line.low, line.high)),
                line.patrons,
            ]
        )
    return file.getvalue()


def _bar(line: Line, at: int, largest: float, ours: str) -> str:
    y = _TOP + at * (_BAR + _GAP)
    width, low, high = (
        max(value, 0) / largest * _SCALE for value in (line.value, line.low, line.high)
    )
    mine = line.scorer == ours
    weight = ' font-weight="bold"' if mine else ""
    name = escape(f"{line.protocol} · {line.group} · {line.scorer}")
    colour = "#1b5e7a" if mine else "#a9bcc6"
    middle = y + _BAR / 2
    return (
        f'<text x="{_LEFT - 8}" y="{y + 12}" text-anchor="end"'
        f"{weight}>{name}</text>"
        f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR}" '
        f'fill="{colour}"/>'
        f'<line x1="{_LEFT + low:.1f}" x2="{_LEFT + high:.1f}" y1="{middle}" '
        f'y2="{middle}" stroke="#222" stroke-width="1"/>'
        f'<text x="{_LEFT + max(width, high) + 6:.1f}" y="{y + 12}">'
        f"{line.value:.3f}</text>"
    )
