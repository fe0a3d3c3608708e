"""Writes the report of an adaptation run: CSV, JSON, Markdown and a page."""

from __future__ import annotations

from pathlib import Path

from mmkd_ext.evaluation.adaptation import tables
from mmkd_ext.evaluation.adaptation.figures import MOST_THUMBNAILS, run_figures
from mmkd_ext.evaluation.adaptation.results import AdaptResults
from mmkd_ext.evaluation.report import TEMPLATES, write_report
from mmkd_ext.files import atomic_write, write_json

__all__ = ['write_run']

_MOST_EVENTS = 200


def write_run(folder: str | Path, results: AdaptResults) -> list[Path]:
    """Writes ``report.{html,md,csv,json}`` of one run.

    Args:
        folder: Where to.
        results: Of the run.

    Returns:
        The files, the page first.
    """
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
