"""Tables of text: data frames, shown as Markdown or on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pandas import DataFrame

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ['markdown', 'number', 'terminal', 'text_table']


def text_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, bold: int | None = None
) -> DataFrame:
    """Returns a frame of text whose first column names the row.

    Args:
        header: Names of the columns.
        rows: As many cells as the header has.
        bold: Number of a row to set in bold.
    """
    table = DataFrame(list(rows), columns=list(header), dtype=object)
    table.attrs['bold'] = bold
    return table


def number(value: float | None, digits: int = 1, *, sign: bool = False) -> str:
    """Returns a figure as tables show it, ``-`` for None and NaN.

    Examples:
        >>> number(3.14159), number(2, 0), number(0.25, sign=True), number(None)
        ('3.1', '2', '+0.2', '-')
    """
    if value is None or value != value:
        return '-'
    return format(value, f'{"+" if sign else ""}.{digits}f')


def markdown(table: DataFrame) -> str:
    r"""Returns a table in Markdown, the first column left, the others right.

    Examples:
        >>> print(markdown(text_table(['run', 'mIoU'], [['a|b', '1.0']])))
        | run   |   mIoU |
        |:------|-------:|
        | a\|b  |    1.0 |
    """
    table = table.rename(columns=_escape).apply(lambda column: column.map(_escape))
    bold = table.attrs.get('bold')
    if bold is not None:
        row = table.iloc[bold]
        table.iloc[bold] = row.where(row == '', '**' + row + '**')
    text: str = table.to_markdown(
        index=False,
        tablefmt='pipe',
        disable_numparse=True,
        colalign=['left', *['right'] * (table.shape[1] - 1)] if len(table) else None,
    )
    return text


def terminal(table: DataFrame, title: str = '') -> Table:
    """Returns a table that `rich` prints on a terminal."""
    from rich.markup import escape
    from rich.table import Table

    shown = Table(title=title or None, title_justify='left')
    for place, name in enumerate(table.columns):
        shown.add_column(name, justify='right' if place else 'left', no_wrap=True)
    for place, row in enumerate(table.itertuples(index=False, name=None)):
        style = 'bold green' if place == table.attrs.get('bold') else None
        shown.add_row(*map(escape, row), style=style)
    return shown


def _escape(cell: str) -> str:
    return ' '.join(cell.replace('|', '\\|').splitlines())
