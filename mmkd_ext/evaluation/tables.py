"""Tables that look the same in a terminal, in Markdown and in HTML; mean and spread."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mmkd_ext.errors import ShapeError

if TYPE_CHECKING:
    from rich.table import Table as RichTable

__all__ = ['Spread', 'Table', 'spread']


@dataclass(frozen=True)
class Spread:
    """Values of one figure over several seeds.

    Args:
        values: One a seed.
    """

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The arithmetic mean."""
        return math.fsum(self.values) / len(self.values)

    @property
    def std(self) -> float:
        """The standard deviation of the sample (n - 1); NaN of a single value."""
        if len(self.values) < 2:
            return math.nan
        mean = self.mean
        squares = math.fsum((value - mean) ** 2 for value in self.values)
        return math.sqrt(squares / (len(self.values) - 1))

    def __format__(self, spec: str) -> str:
        """Returns ``mean ± std``, or the bare value when there is only one."""
        spec = spec or '.2f'
        if len(self.values) < 2:
            return format(self.mean, spec)
        return f'{self.mean:{spec}} ± {self.std:{spec}}'


def spread(values: Sequence[float]) -> Spread:
    """Returns the mean and spread of ``values``.

    Raises:
        ShapeError: There is no value.

    Examples:
        >>> f'{spread([1.0, 2.0, 3.0]):.1f}'
        '2.0 ± 1.0'
    """
    if not len(values):
        raise ShapeError('Mean and spread of no values: give at least one.')
    return Spread(tuple(float(value) for value in values))


@dataclass(frozen=True)
class Table:
    """Rows of text under a header; the first column names the row.

    Args:
        header: Column names.
        rows: As many cells as the header has.
        title: A line above it.
        bold: Index of a row to set in bold, if any.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]] = field(default_factory=list)
    title: str = ''
    bold: int | None = None

    def __post_init__(self) -> None:
        for number, row in enumerate(self.rows):
            if len(row) != len(self.header):
                raise ShapeError(
                    f'Row {number} of the table has {len(row)} cells, its header '
                    f'{len(self.header)}: {list(row)!r} under {list(self.header)!r}.'
                )

    def markdown(self) -> str:
        r"""Returns the table in Markdown, its columns padded to equal width.

        Examples:
            >>> print(Table(['run', 'mIoU'], [['a|b', '1.0']]).markdown())
            | run  | mIoU |
            |:-----|-----:|
            | a\|b |  1.0 |
        """
        cells = [[_escape(cell) for cell in row] for row in (self.header, *self.rows)]
        widths = [max(3, *(len(row[i]) for row in cells)) for i in range(len(cells[0]))]

        def line(row: list[str]) -> str:
            first = row[0].ljust(widths[0])
            rest = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
            return '| ' + ' | '.join([first, *rest]) + ' |'

        first = ':' + '-' * (widths[0] + 1)
        rule = '|'.join([first, *('-' * (width + 1) + ':' for width in widths[1:])])
        return '\n'.join([line(cells[0]), f'|{rule}|', *map(line, cells[1:])])

    def html(self) -> str:
        """Returns the table as an HTML fragment; cells are escaped."""
        head = ''.join(f'<th>{html.escape(cell)}</th>' for cell in self.header)
        body = ''
        for number, row in enumerate(self.rows):
            kind = ' class="bold"' if number == self.bold else ''
            cells = ''.join(f'<td>{html.escape(cell)}</td>' for cell in row)
            body += f'<tr{kind}>{cells}</tr>\n'
        return (
            f'<table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table>'
        )

    def rich(self) -> RichTable:
        """Returns the table for a terminal, as ``rich`` prints it."""
        from rich.markup import escape
        from rich.table import Table as RichTable

        table = RichTable(title=self.title or None, title_justify='left')
        for number, name in enumerate(self.header):
            table.add_column(name, justify='right' if number else 'left', no_wrap=True)
        for number, row in enumerate(self.rows):
            style = 'bold green' if number == self.bold else None
            table.add_row(*map(escape, row), style=style)
        return table


def _escape(cell: str) -> str:
    return cell.replace('|', '\\|').replace('\n', ' ')
