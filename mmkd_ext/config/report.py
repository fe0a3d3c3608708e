"""Writing a report for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TextIO

    from rich.console import RenderableType

    from mmkd_ext.config.check import Module
    from mmkd_ext.config.context import (
        LinkFacts,
        ModelFacts,
        Report,
        TermFacts,
        TrainingFacts,
    )
    from mmkd_ext.errors import Problem

__all__ = ['console_for', 'render', 'render_taps']

WIDTH = 100
_BAR = 16


def console_for(stream: TextIO) -> Console:
    """Returns a console; where the stream is no terminal it is 100 columns wide."""
    width = None if stream.isatty() else WIDTH
    return Console(file=stream, width=width, highlight=False, soft_wrap=False)


def render(report: Report) -> RenderableType:
    """Returns the report as something that a rich console prints."""
    parts: list[RenderableType] = [_title(report)]
    if report.models:
        parts.append(_models(report.models))
    if report.links:
        parts.append(_links(report.links))
    if report.terms:
        parts.append(_terms(report.terms, report.batch))
    if report.training is not None:
        parts += _training(report.training)
    found = report.findings
    parts += _list('Notes', found.notes, 'cyan')
    parts += _list('Warnings', found.warnings, 'yellow')
    parts += _list('Problems', found.problems, 'red')
    parts.append(_verdict(report))
    return Group(*parts)


def render_taps(owner: str, modules: Sequence[Module]) -> RenderableType:
    """Returns the table of what could be tapped."""
    table = _table(f'What links can tap of `{owner}`')
    for heading in ('at', 'type'):
        table.add_column(heading, no_wrap=True)
    table.add_column('output', overflow='fold')
    table.add_column('calls', justify='right')
    table.add_column('only in mode')
    for one in modules:
        table.add_row(
            *map(
                escape,
                (
                    one.name,
                    one.kind,
                    one.output.replace('Tensor', ''),
                    str(one.calls),
                    one.mode,
                ),
            )
        )
    return table


def _title(report: Report) -> Text:
    return Text.assemble((report.config or 'config', 'bold'), '  ', report.kind)


def _table(title: str) -> Table:
    return Table(
        title=title,
        title_justify='left',
        title_style='bold',
        box=box.SIMPLE,
        pad_edge=False,
        header_style='dim',
    )


def _models(models: Iterable[ModelFacts]) -> Table:
    table = _table('Models')
    table.add_column('role')
    table.add_column('type', overflow='fold')
    table.add_column('parameters', justify='right')
    table.add_column('checkpoint', overflow='fold')
    table.add_column('input')
    table.add_column('mode')
    for one in models:
        matched = '' if one.matched is None else f': {one.matched:.1%} matched'
        table.add_row(
            *map(
                escape,
                (
                    one.role,
                    one.kind,
                    _millions(one.parameters),
                    one.checkpoint + matched,
                    one.input,
                    one.mode,
                ),
            )
        )
    return table


def _links(links: Iterable[LinkFacts]) -> Group:
    parts: list[RenderableType] = [Text('Links', 'bold')]
    for link in links:
        parts.append(Text.assemble('  ', (link.name, 'bold cyan'), '  ', link.loss))
        table = Table(box=None, padding=(0, 1), show_header=False)
        for width in (10, 8):
            table.add_column(min_width=width)
        table.add_column(overflow='fold')
        table.add_column(overflow='fold')
        for tap in link.taps:
            shape = tap.shape
            if tap.connector:
                shape += f' -> {tap.connector}'
            if tap.entering not in ('', tap.shape):
                shape += f' -> {tap.entering}'
            # what goes into a connector stands below what comes out of it
            *outer, name = tap.argument.split('.given.')
            row = ('    ' + '  ' * len(outer) + name, tap.of, tap.at, shape)
            table.add_row(*map(escape, row))
        parts.append(table)
        parts.append(
            Text(f'     alignment: {link.alignment};  schedule: {link.schedule}')
        )
    parts.append(Text(''))
    return Group(*parts)


def _terms(terms: Iterable[TermFacts], batch: str) -> Table:
    table = _table(f'Terms of the loss (untrained student, {batch})')
    table.add_column('term', overflow='fold')
    for heading in ('value', 'of the loss', 'gradient', 'of the gradient'):
        table.add_column(heading, justify='right')
    table.add_column('')
    for term in terms:
        norm, share = term.gradient, term.gradient_share
        table.add_row(
            escape(term.name),
            f'{term.value:.4g}',
            f'{term.share:.1%}',
            '' if norm is None else f'{norm:.4g}',
            '' if share is None else f'{share:.1%}',
            '' if share is None else '#' * round(share * _BAR),
        )
    return table


def _training(facts: TrainingFacts) -> list[RenderableType]:
    lines = []
    if facts.length:
        lines.append(f'{facts.length}')
    if facts.lr is not None:
        lines.append(f'{facts.optimizer} with learning rate {facts.lr:g}')
    if facts.samples is not None:
        lines.append(
            f'batch {facts.gpus} GPU(s) x {facts.samples} samples = '
            f'{facts.gpus * facts.samples}'
        )
    if facts.base_batch is not None and facts.scaled_lr is not None:
        scaling = 'by itself' if facts.auto_scale else 'with --auto-scale-lr'
        lines.append(
            f'made for a batch of {facts.base_batch} ({facts.base_source}); '
            f'scaled linearly {scaling}: {facts.scaled_lr:g}'
        )
    if not lines:
        return []
    return [Text('Training', 'bold'), *(Text(f'  {line}') for line in lines), Text('')]


def _list(title: str, problems: Sequence[Problem], style: str) -> list[RenderableType]:
    if not problems:
        return []
    table = Table(box=None, padding=(0, 1), show_header=False)
    table.add_column(justify='right', style=style)
    table.add_column(overflow='fold')
    for number, one in enumerate(problems, 1):
        text = Text.assemble((one.path, f'bold {style}'), f'  {one.found}')
        if one.hint:
            text.append(f'\n-> {one.hint}', 'dim')
        table.add_row(f'{number}.', text)
    return [Text(title, f'bold {style}'), table, Text('')]


def _verdict(report: Report) -> Text:
    found = report.findings
    if found.problems:
        return Text(
            f'{len(found.problems)} problem(s), {len(found.warnings)} warning(s).',
            'bold red',
        )
    return Text(f'No problem, {len(found.warnings)} warning(s).', 'bold green')


def _millions(count: int) -> str:
    return f'{count / 1e6:.2f} M' if count >= 1e5 else f'{count:,}'
