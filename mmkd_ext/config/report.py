"""Writing a report for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
        LinkSummary,
        ModelSummary,
        Report,
        TermSummary,
        TrainingSummary,
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
    title = Text.assemble((report.config or 'config', 'bold'), '  ', report.kind)
    parts: list[RenderableType] = [title]
    if report.models:
        parts.append(_models(report.models))
    if report.links:
        parts.append(_links(report.links))
    if report.terms:
        parts.append(_terms(report.terms, report.batch))
    if report.training is not None:
        parts += _training(report.training)
    parts += _list('Notes', report.notes, 'cyan')
    parts += _list('Warnings', report.warnings, 'yellow')
    parts += _list('Problems', report.problems, 'red')
    warnings = f'{len(report.warnings)} warning(s).'
    if report.ok:
        parts.append(Text(f'No problem, {warnings}', 'bold green'))
    else:
        problems = f'{len(report.problems)} problem(s)'
        parts.append(Text(f'{problems}, {warnings}', 'bold red'))
    return Group(*parts)


def render_taps(owner: str, modules: Sequence[Module]) -> RenderableType:
    """Returns the table of what could be tapped."""
    table = _table(f'What links can tap of `{owner}`')
    for heading in ('at', 'type'):
        table.add_column(heading, no_wrap=True)
    table.add_column('output', overflow='fold')
    table.add_column('calls', justify='right')
    table.add_column('only in mode')
    for m in modules:
        output = m.output.replace('Tensor', '')
        table.add_row(*map(escape, (m.name, m.kind, output, str(m.calls), m.mode)))
    return table


def _table(title: str) -> Table:
    style: dict[str, Any] = {'title_justify': 'left', 'title_style': 'bold'}
    return Table(
        title=title, box=box.SIMPLE, pad_edge=False, header_style='dim', **style
    )


def _models(models: Iterable[ModelSummary]) -> Table:
    table = _table('Models')
    table.add_column('role')
    table.add_column('type', overflow='fold')
    table.add_column('parameters', justify='right')
    table.add_column('checkpoint', overflow='fold')
    table.add_column('input')
    table.add_column('mode')
    for model in models:
        matched = '' if model.matched is None else f': {model.matched:.1%} matched'
        size, checkpoint = _millions(model.parameters), model.checkpoint + matched
        row = model.role, model.kind, size, checkpoint, model.input, model.mode
        table.add_row(*map(escape, row))
    return table


def _links(links: Iterable[LinkSummary]) -> Group:
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


def _terms(terms: Iterable[TermSummary], batch: str) -> Table:
    table = _table(f'Terms of the loss (untrained student, {batch})')
    table.add_column('term', overflow='fold')
    for heading in ('value', 'of the loss', 'gradient', 'of the gradient'):
        table.add_column(heading, justify='right')
    table.add_column('')
    for term in terms:
        norm, share = term.gradient, term.gradient_share
        gradient = '' if norm is None else f'{norm:.4g}'
        parts = (
            ['', ''] if share is None else [f'{share:.1%}', '#' * round(share * _BAR)]
        )
        row = escape(term.name), f'{term.value:.4g}', f'{term.share:.1%}'
        table.add_row(*row, gradient, *parts)
    return table


def _training(training: TrainingSummary) -> list[RenderableType]:
    gpus, samples, base = training.gpus, training.samples, training.base_batch
    lines = [training.length] if training.length else []
    if training.lr is not None:
        lines.append(f'{training.optimizer} with learning rate {training.lr:g}')
    if samples is not None:
        lines.append(f'batch {gpus} GPU(s) x {samples} samples = {gpus * samples}')
    if base is not None and training.scaled_lr is not None:
        scaling = 'by itself' if training.auto_scale else 'with --auto-scale-lr'
        lines.append(
            f'made for a batch of {base} ({training.base_source}); '
            f'scaled linearly {scaling}: {training.scaled_lr:g}'
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
    for number, problem in enumerate(problems, 1):
        text = Text.assemble((problem.path, f'bold {style}'), f'  {problem.found}')
        if problem.hint:
            text.append(f'\n-> {problem.hint}', 'dim')
        table.add_row(f'{number}.', text)
    return [Text(title, f'bold {style}'), table, Text('')]


def _millions(count: int) -> str:
    return f'{count / 1e6:.2f} M' if count >= 1e5 else f'{count:,}'
