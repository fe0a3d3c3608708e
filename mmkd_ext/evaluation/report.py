"""Writes a report: Markdown with its figures, and one HTML page that opens offline.

A report is a template in ``templates/``, filled with tables and figures. The page is
made of the Markdown, so the two cannot differ.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmkd_ext.evaluation.tables import markdown
from mmkd_ext.files import atomic_write

__all__ = ['TEMPLATES', 'write_report']

TEMPLATES = Path(__file__).parent / 'templates'


def write_report(
    folder: str | Path,
    template: Path,
    *,
    title: str,
    figures: Mapping[str, bytes],
    name: str = 'report',
    **content: Any,
) -> tuple[Path, Path]:
    """Writes ``<name>.html``, ``<name>.md`` and ``pictures/*.png``.

    The pictures are there before the Markdown that shows them.

    Args:
        folder: Where to write.
        template: File of Markdown. It shows a frame by ``{{ table | markdown }}`` and a
            figure, where there is one, by ``{{ figure('name', 'caption') }}``.
        title: Heading of the report.
        figures: PNG files by name.
        name: Name of the two files.
        content: What the template shows.

    Returns:
        The paths of the HTML and of the Markdown file.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markdown_it import MarkdownIt

    def figure(of: str, caption: str) -> str:
        if of not in figures:
            return ''
        return f'![{caption}](pictures/{of}.png)\n\n*{caption}*'

    environment = Environment(
        loader=FileSystemLoader([template.parent, TEMPLATES]),
        autoescape=lambda file: file is not None and file.endswith('.html.j2'),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters['markdown'] = markdown
    source = environment.get_template(template.name)
    text = source.render(title=title, figure=figure, **content).strip() + '\n'
    body = MarkdownIt('commonmark', {'html': False}).enable('table').render(text)
    place = Path(folder)
    for key, data in figures.items():
        atomic_write(place / 'pictures' / f'{key}.png', data)
        encoded = base64.b64encode(data).decode()
        body = body.replace(
            f'src="pictures/{key}.png"', f'src="data:image/png;base64,{encoded}"'
        )
    page = environment.get_template('page.html.j2').render(title=title, body=body)
    text_file = atomic_write(place / f'{name}.md', text)
    return atomic_write(place / f'{name}.html', page + '\n'), text_file
