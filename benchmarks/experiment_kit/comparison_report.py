"""Writes the comparison of adaptation runs: CSV, JSON, Markdown and a page."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiment_kit import comparison as comparing
from mmkd_ext.errors import DataError
from mmkd_ext.evaluation.adaptation import tables
from mmkd_ext.evaluation.adaptation.report import write_run
from mmkd_ext.evaluation.adaptation.results import AdaptResults
from mmkd_ext.evaluation.figures import axes, bars, colours, legend, png
from mmkd_ext.evaluation.report import write_report
from mmkd_ext.files import atomic_write, write_json

__all__ = ['comparison_figures', 'write_comparison']

TEMPLATE = Path(__file__).parent / 'templates' / 'comparison.md.j2'


def write_comparison(folder: str | Path, runs: Sequence[AdaptResults]) -> list[Path]:
    """Writes ``comparison.{html,md,csv,json}`` and the report of each run below it.

    Args:
        folder: Where to.
        runs: At least two.

    Returns:
        The files of the comparison, the page first.

    Raises:
        DataError: There are fewer, or one file is given twice.
    """
    if len(runs) < 2:
        raise DataError(f'A comparison needs two runs, but there are {len(runs)}.')
    paths = [str(Path(run.path).resolve()) for run in runs]
    twice = [path for path in paths if paths.count(path) > 1]
    if twice:
        raise DataError(f'{twice[0]!r} is given twice: give each run once.')
    place = Path(folder)
    groups = comparing.group_runs(runs)
    content = comparing.compare(groups)
    pages = {}
    for group in groups:
        for run in group.runs:
            label = f'{group.label}, seed {run.settings.get("seed")}'
            name = re.sub(r'[^a-z0-9.]+', '-', label.lower()).strip('-.')
            page, *_ = write_run(place / name, run)
            pages[label] = f'{name}/{page.name}'
    gains = [of['gain'] for of in content['runs'].values() if of.get('gain')]
    page, markdown = write_report(
        place,
        TEMPLATE,
        title='Continual adaptation: a comparison',
        name='comparison',
        figures=comparison_figures(content),
        over=sorted({gain['over'] for gain in gains}),
        unfinished=any(
            of['finished'] < len(of['seeds']) for of in content['runs'].values()
        ),
        shown=', '.join(map(str, tables.shown_rounds(content['rounds'], 4))),
        lead=comparing.comparison_table(content, cells=False),
        cells=comparing.comparison_table(content),
        stability=comparing.stability_table(content),
        work=comparing.work_comparison(content),
        how=comparing.how_table(content),
        pages=pages,
    )
    summaries = [tables.summarise(run) for run in runs]
    return [
        page,
        markdown,
        atomic_write(place / 'comparison.csv', tables.cells_csv(runs)),
        write_json(
            place / 'comparison.json', {'runs': summaries, 'comparison': content}
        ),
    ]


def comparison_figures(content: Mapping[str, Any]) -> dict[str, bytes]:
    """Returns the mean by round and by domain, a colour a group.

    Args:
        content: What :func:`experiment_kit.comparison.compare` gave.
    """
    drawn, names = {}, colours(content['runs'])
    if content['rounds'] >= 2:
        figure, (axis,) = axes(3.4)
        for label, of in content['runs'].items():
            known = {int(r): s for r, s in of['round_means'].items() if s is not None}
            means = [s['mean'] for s in known.values()]
            axis.plot(list(known), means, color=names[label], marker='.')
            spread = [s['std'] or 0.0 for s in known.values()]
            low, high = (
                [mean + sign * std for mean, std in zip(means, spread)]
                for sign in (-1, 1)
            )
            axis.fill_between(list(known), low, high, color=names[label], alpha=0.2)
        axis.set_xlabel('round', fontsize=9)
        axis.set_ylabel('mean mIoU of the round, %', fontsize=9)
        legend(figure, names)
        drawn['comparison'] = png(figure)
    domains = content['domains']
    by_domain = {
        label: [(of['domain_means'].get(d) or {}).get('mean') for d in domains]
        for label, of in content['runs'].items()
        if any(of['domain_means'].values())
    }
    if by_domain:
        drawn['comparison-domains'] = bars(
            domains, by_domain, label='mIoU, %', names=names
        )
    return drawn
