"""Writes the report of an adaptation run: CSV, JSON, Markdown and a page."""

from __future__ import annotations

import sys
from pathlib import Path

from mmkd_ext.evaluation.adaptation import tables
from mmkd_ext.evaluation.adaptation.figures import MOST_THUMBNAILS, run_figures
from mmkd_ext.evaluation.adaptation.results import AdaptResults, read_results
from mmkd_ext.evaluation.report import TEMPLATES, write_report
from mmkd_ext.evaluation.tables import terminal
from mmkd_ext.files import atomic_write, write_json

__all__ = ['show_run', 'write_run']

_MOST_EVENTS = 200


def show_run(path: str | Path, out: str | Path | None = None) -> list[Path]:
    """Writes the report of a run, shows its tables, and returns the files.

    Args:
        path: Its work directory, or the ``results.json`` there.
        out: Folder of the report; ``report`` beside the results by default.

    Raises:
        DataError: There are no results, or they are damaged.
    """
    from rich.console import Console

    results = read_results(path)
    files = write_run(out or Path(results.path).parent / 'report', results)
    # a pipe has no width: rich would take 80 and cut the tables
    console = Console(width=None if sys.stdout.isatty() else 160)
    for of in (tables.settings_table, tables.round_table, tables.summary_table):
        console.print(terminal(of(results)))
    return files


def write_run(folder: str | Path, results: AdaptResults) -> list[Path]:
    """Writes ``report.{html,md,csv,json}`` of one run; returns them, the page first."""
    place = Path(folder)
    seed = tables.setting_text(results.settings.get('seed'))
    page, markdown = write_report(
        place,
        TEMPLATES / 'adaptation.md.j2',
        title=f'Continual adaptation: {results.method}, seed {seed}',
        figures=run_figures(results),
        results=results,
        most_rounds=tables.MOST_ROUNDS,
        most_thumbnails=MOST_THUMBNAILS,
        summary=tables.summary_table(results),
        settings=tables.settings_table(results),
        rounds=tables.round_table(results),
        work=tables.work_table(results),
        events=tables.event_table(results.events[:_MOST_EVENTS]),
        classes=tables.class_table(results),
    )
    return [
        page,
        markdown,
        atomic_write(place / 'report.csv', tables.cells_csv([results])),
        write_json(place / 'report.json', tables.summarise(results)),
    ]
