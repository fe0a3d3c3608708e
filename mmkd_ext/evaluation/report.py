"""The report of an experiment: one HTML file that opens offline, and Markdown.

Both are made from the same list of parts, so they cannot tell different stories.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Union

from mmkd_ext.evaluation.files import write_atomically
from mmkd_ext.evaluation.tables import Table

__all__ = ['Gallery', 'Heading', 'Legend', 'Note', 'Picture', 'write_report']


@dataclass(frozen=True)
class Heading:
    """The title of a section."""

    text: str


@dataclass(frozen=True)
class Note:
    """A paragraph: Markdown's `code`, **bold**, and links to files beside the page."""

    text: str


@dataclass(frozen=True)
class Picture:
    """A PNG file with a caption.

    Args:
        name: File name without ending, for the Markdown.
        data: The PNG file.
        caption: Below it, and read aloud instead of it.
        svg: The same as an SVG element, which the page shows instead of the PNG file.
    """

    name: str
    data: bytes
    caption: str
    svg: str = ''


@dataclass(frozen=True)
class Gallery:
    """Rows of pictures under common column titles.

    Args:
        columns: Titles, one a picture of a row.
        rows: A title and its pictures.
    """

    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Picture]]]


@dataclass(frozen=True)
class Legend:
    """Colours and what they mean."""

    entries: Sequence[tuple[str, Sequence[int]]]


Part = Union[Heading, Note, Picture, Gallery, Legend, Table]

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2530; --paper: #fff; --pale: #5b6672;
        --line: #d9dee4; --rule: #aab3bd; --code: #f1f3f5; --bold: #eef7f0; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e3e8ed; --paper: #15191e; --pale: #9aa6b2; --line: #2e363f;
          --rule: #56616c; --code: #232a32; --bold: #1b3024; }
}
body { font: 15px/1.5 system-ui, 'Segoe UI', Helvetica, Arial, sans-serif;
       color: var(--ink); background: var(--paper); max-width: 1180px;
       margin: 2rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.6rem; margin-bottom: .3rem; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; border-bottom: 1px solid var(--line);
     padding-bottom: .25rem; }
p { max-width: 52rem; margin: .5rem 0; }
code { background: var(--code); padding: .05rem .3rem; border-radius: 3px;
       font-size: .9em; }
table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric:
        tabular-nums; }
th, td { padding: .32rem .8rem; text-align: right;
         border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; }
td { white-space: nowrap; }
td:last-child { white-space: normal; min-width: 5rem; }
th { border-bottom: 2px solid var(--rule); font-weight: 600; }
tr.bold td { font-weight: 650; background: var(--bold); }
figure { margin: .8rem 0; }
figure img, figure svg { max-width: 100%; height: auto; }
figcaption { color: var(--pale); font-size: .88rem; }
.scroll { overflow-x: auto; }
.gallery { display: grid; gap: 4px 6px; min-width: 900px; }
.gallery .column { font-weight: 600; font-size: .85rem; align-self: end; }
.gallery .row { grid-column: 1 / -1; font-size: .85rem; color: var(--pale);
                margin-top: .5rem; }
.gallery figure { margin: 0; }
.gallery img { width: 100%; display: block; border-radius: 2px; }
.gallery figcaption { font-size: .76rem; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem .9rem; font-size: .85rem;
          margin: .6rem 0; }
.legend i { display: inline-block; width: .85em; height: .85em; border-radius: 2px;
            margin-right: .35em; vertical-align: -.08em; }
"""


def write_report(
    folder: str | Path, title: str, parts: Sequence[Part], *, name: str = 'report'
) -> tuple[Path, Path]:
    """Writes ``<name>.html``, ``<name>.md`` and the pictures of the latter.

    Each file is complete before it gets its name, and the pictures are there before
    the Markdown that shows them.

    Args:
        folder: Where to.
        title: Of the whole.
        parts: In the order of reading.
        name: Of the two files.

    Returns:
        The paths of the HTML and of the Markdown file.
    """
    place = Path(folder)
    body = '\n'.join(_html(part) for part in parts)
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{html.escape(title)}</title>\n<style>{_STYLE}</style></head>\n'
        f'<body>\n<h1>{html.escape(title)}</h1>\n{body}\n</body></html>\n'
    )
    for picture in _pictures(parts):
        write_atomically(place / 'pictures' / f'{picture.name}.png', picture.data)
    text = '\n\n'.join([f'# {title}', *(_markdown(part) for part in parts)]) + '\n'
    markdown_file = write_atomically(place / f'{name}.md', text)
    return write_atomically(place / f'{name}.html', page), markdown_file


def _pictures(parts: Sequence[Part]) -> list[Picture]:
    found: list[Picture] = []
    for part in parts:
        if isinstance(part, Picture):
            found.append(part)
        elif isinstance(part, Gallery):
            found += [picture for _, row in part.rows for picture in row]
    return found


def _inline(text: str) -> str:
    found = []
    for piece in re.split(r'(`[^`]+`)', text):
        shown = html.escape(piece, quote=False)
        if piece.startswith('`') and piece.endswith('`') and len(piece) > 2:
            found.append(f'<code>{shown[1:-1]}</code>')
            continue
        shown = re.sub(r'\*\*([^*]+)\*\*', r'<strong>\1</strong>', shown)
        found.append(
            re.sub(r'\[([^\]]+)\]\(([^)\s":]+)\)', r'<a href="\2">\1</a>', shown)
        )
    return ''.join(found)


def _figure(picture: Picture) -> str:
    alt, caption = html.escape(picture.caption), _inline(picture.caption)
    if picture.svg:
        shown = f'<div role="img" aria-label="{alt}">{picture.svg}</div>'
    else:
        data = base64.b64encode(picture.data).decode()
        shown = f'<img alt="{alt}" src="data:image/png;base64,{data}">'
    return f'<figure>{shown}<figcaption>{caption}</figcaption></figure>'


def _html(part: Part) -> str:
    if isinstance(part, Heading):
        return f'<h2>{_inline(part.text)}</h2>'
    if isinstance(part, Note):
        return f'<p>{_inline(part.text)}</p>'
    if isinstance(part, Picture):
        return _figure(part)
    if isinstance(part, Table):
        title = f'<p>{_inline(part.title)}</p>' if part.title else ''
        return f'{title}<div class="scroll">{part.html()}</div>'
    if isinstance(part, Legend):
        entries = ''.join(
            f'<span><i style="background: rgb({r} {g} {b})"></i>'
            f'{html.escape(name)}</span>'
            for name, (r, g, b) in part.entries
        )
        return f'<div class="legend">{entries}</div>'
    cells = ''.join(
        f'<div class="column">{_inline(column)}</div>' for column in part.columns
    )
    for title, row in part.rows:
        cells += f'<div class="row">{_inline(title)}</div>'
        cells += ''.join(_figure(picture) for picture in row)
    columns = f'grid-template-columns: repeat({len(part.columns)}, 1fr)'
    gallery = f'<div class="gallery" style="{columns}">{cells}</div>'
    return f'<div class="scroll">{gallery}</div>'


def _markdown(part: Part) -> str:
    if isinstance(part, Heading):
        return f'## {part.text}'
    if isinstance(part, Note):
        return part.text
    if isinstance(part, Picture):
        return f'![{part.caption}](pictures/{part.name}.png)'
    if isinstance(part, Table):
        return f'{part.title}\n\n{part.markdown()}' if part.title else part.markdown()
    if isinstance(part, Legend):
        return ' · '.join(
            f'{name} `#{r:02x}{g:02x}{b:02x}`' for name, (r, g, b) in part.entries
        )
    rows = [
        [title, *(f'![{p.caption}](pictures/{p.name}.png)' for p in row)]
        for title, row in part.rows
    ]
    return Table(['', *part.columns], rows).markdown()
