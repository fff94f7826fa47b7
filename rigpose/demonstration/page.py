"""The demo's HTML page: one file, no scripts, pictures inside."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

from rigpose.demonstration.bounds import Judged

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #212529; background: #fff; max-width: 1080px;
       margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
p.lead { color: #495057; margin-top: 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
td, th { text-align: left; padding: .25rem .7rem; border-bottom: 1px solid #dee2e6; }
td.number, th.number { text-align: right; }
.held { color: #2b8a3e; } .missed { color: #c92a2a; font-weight: 600; }
img { max-width: 100%; height: auto; } figcaption { color: #495057; font-size: .9rem; }
figure { margin: 1rem 0; } code { font-size: .85rem; overflow-wrap: anywhere; }
"""


def number(value: float | None) -> str:
    """A figure for a person: three significant digits, or a dash."""
    return "-" if value is None else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def write_page(
    *,
    title: str,
    lead: str,
    judged: Sequence[Judged],
    sections: Sequence[tuple[str, str, bytes]],
    facts: Sequence[tuple[str, str]],
    steps: Sequence[tuple[str, str, float]],
) -> str:
    """The page as HTML.

    `sections` are (heading, caption, PNG); `facts` are (what, value); `steps` are
    (what, command line, seconds).
    """
    verdict = "".join(
        f"<tr><td>{escape(row.bound.label)}</td><td class=number>{number(row.value)} {row.bound.unit}</td>"
        f"<td class=number>{escape(row.bound.sense)} {number(row.bound.limit)} {row.bound.unit}</td>"
        f"<td class={'held' if row.held else 'missed'}>{'held' if row.held else 'MISSED'}</td></tr>"
        for row in judged
    )
    pictures = "".join(
        f"<h2>{escape(heading)}</h2><figure><img alt='{escape(heading)}' "
        f"src='data:image/png;base64,{base64.b64encode(png).decode()}'>"
        f"<figcaption>{escape(caption)}</figcaption></figure>"
        for heading, caption, png in sections
    )
    further = "".join(f"<tr><td>{escape(what)}</td><td>{escape(value)}</td></tr>" for what, value in facts)
    done = "".join(
        f"<tr><td>{escape(what)}</td><td><code>{escape(command)}</code></td>"
        f"<td class=number>{seconds:.0f} s</td></tr>"
        for what, command, seconds in steps
    )
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title>"
        f"<meta name=viewport content='width=device-width'><style>{STYLE}</style>"
        f"<h1>{escape(title)}</h1><p class=lead>{escape(lead)}</p>"
        f"<table><tr><th>figure</th><th class=number>measured</th><th class=number>bound</th><th></th></tr>"
        f"{verdict}</table>{pictures}"
        f"<h2>Further figures</h2><table>{further}</table>"
        f"<h2>What ran</h2><table>"
        f"<tr><th>step</th><th>command</th><th class=number>time</th></tr>{done}</table>"
        "</html>\n"
    )
