"""Reports adaptation runs: tables on the terminal, and CSV, JSON, Markdown, HTML.

    mmkd report work_dirs/my_run/results.json
    mmkd report work_dirs/*/results.json --out report

One file, or the work directory that holds it, gives the report of a run. Several give a
comparison: runs that differ in nothing but the seed are one row, with mean and spread,
and each has a report of its own below it. A run that is not finished can be reported.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mmkd_ext.errors import MMKDError
from mmkd_ext.evaluation.adaptation.compare import (
    compare,
    comparison_table,
    group_runs,
    stability_table,
    work_comparison,
)
from mmkd_ext.evaluation.adaptation.report import write_comparison, write_run
from mmkd_ext.evaluation.adaptation.results import AdaptResults, read_results
from mmkd_ext.evaluation.adaptation.tables import (
    round_table,
    run_settings,
    setting_text,
    settings_table,
    summary_table,
)
from mmkd_ext.evaluation.tables import Table


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'results', nargs='+', help='results.json of a run, or its work directory'
    )
    parser.add_argument(
        '--out',
        help='where to write; default: `report` beside the results of one run, '
        '`adapt_report` in this folder for several',
    )
    return parser.parse_args(argv)


def tables_of(runs: Sequence[AdaptResults]) -> list[Table]:
    """Returns what the terminal shows."""
    if len(runs) == 1:
        return [settings_table(runs[0]), round_table(runs[0]), summary_table(runs[0])]
    content = compare(group_runs(runs))
    return [
        comparison_table(content, cells=False),
        stability_table(content),
        work_comparison(content),
    ]


def how_lines(runs: Sequence[AdaptResults]) -> list[str]:
    """Returns a line a setting: what it was, for each of the runs that differ in it."""
    groups = group_runs(runs) if len(runs) > 1 else []
    lines = []
    for key in run_settings(runs[0]) if groups else ():
        values: dict[str, list[str]] = {}
        for group in groups:
            found = {setting_text(run_settings(run)[key]): None for run in group.runs}
            values.setdefault(' | '.join(found), []).append(group.label)
        title = key.replace('_', ' ')
        if len(values) == 1:
            lines.append(f'{title}: {next(iter(values))}')
        elif key != 'method':
            lines += [f'{title}: {v} ({"; ".join(who)})' for v, who in values.items()]
    return lines


def write(runs: Sequence[AdaptResults], out: str | None) -> list[Path]:
    """Writes the report and returns its files."""
    if len(runs) == 1:
        return write_run(out or Path(runs[0].path).parent / 'report', runs[0])
    return write_comparison(out or 'adapt_report', runs)


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    from rich.console import Console

    args = parse_args(argv)
    # a pipe has no width: rich would take 80 and cut the tables
    console = Console(width=None if sys.stdout.isatty() else 160)
    try:
        runs = [read_results(path) for path in args.results]
        files = write(runs, args.out)
        tables = tables_of(runs)
    except (MMKDError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    for table in tables:
        console.print(table.rich())
    for line in how_lines(runs):
        print(line)
    for file in files:
        print(file)
    return 0
