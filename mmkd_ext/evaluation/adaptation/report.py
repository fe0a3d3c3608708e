"""Writes the report of adaptation runs: CSV, JSON, Markdown and a page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from mmkd_ext.errors import DataError
from mmkd_ext.evaluation.adaptation.compare import compare, group_runs
from mmkd_ext.evaluation.adaptation.html import comparison_parts, run_parts
from mmkd_ext.evaluation.adaptation.results import AdaptResults
from mmkd_ext.evaluation.adaptation.tables import cells_csv, setting_text, summarise
from mmkd_ext.evaluation.files import write_atomically, write_json
from mmkd_ext.evaluation.report import Heading, Note, Part, write_report

__all__ = ['write_comparison', 'write_run']


def write_run(folder: str | Path, results: AdaptResults) -> list[Path]:
    """Writes ``report.{html,md,csv,json}`` of one run.

    Args:
        folder: Where to.
        results: Of the run.

    Returns:
        The files, the page first.
    """
    place = Path(folder)
    seed = setting_text(results.settings.get('seed'))
    title = f'Continual adaptation: {results.method}, seed {seed}'
    page, markdown = write_report(place, title, run_parts(results))
    return [
        page,
        markdown,
        write_atomically(place / 'report.csv', cells_csv([results])),
        write_json(place / 'report.json', summarise(results)),
    ]


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
    groups = group_runs(runs)
    parts: list[Part] = [*comparison_parts(compare(groups)), Heading('Each run')]
    for group in groups:
        for run in group.runs:
            name = _slug(f'{group.label}-seed{run.settings.get("seed")}')
            page, *_ = write_run(place / name, run)
            label = f'{group.label}, seed {run.settings.get("seed")}'
            parts.append(Note(f'[{label}]({name}/{page.name})'))
    title = 'Continual adaptation: a comparison'
    page, markdown = write_report(place, title, parts, name='comparison')
    content = {'runs': [summarise(run) for run in runs], 'comparison': compare(groups)}
    return [
        page,
        markdown,
        write_atomically(place / 'comparison.csv', cells_csv(runs)),
        write_json(place / 'comparison.json', content),
    ]


def _slug(text: str) -> str:
    """Returns a name for a folder.

    Examples:
        >>> _slug('DoSe, lr 0.001-seed0')
        'dose-lr-0.001-seed0'
    """
    return re.sub(r'[^a-z0-9.]+', '-', text.lower()).strip('-.')
