"""Compares adaptation runs: tables on the terminal, and CSV, JSON, Markdown, HTML.

    python benchmarks/adapt_compare.py work_dirs/*/results.json --out report

Runs that differ in nothing but the seed are one row, with mean and deviation, and each
has a report of its own below the comparison, also one that is not finished.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console

from experiment_kit.command import run_main
from experiment_kit.comparison import (
    compare,
    comparison_table,
    group_runs,
    stability_table,
    work_comparison,
)
from experiment_kit.comparison_report import write_comparison
from mmkd_ext.evaluation.adaptation.results import read_results
from mmkd_ext.evaluation.tables import terminal


def compare_runs(args: argparse.Namespace) -> int:
    """Writes the comparison and shows its tables."""
    runs = [read_results(path) for path in args.results]
    files = write_comparison(args.out, runs)
    content = compare(group_runs(runs))
    # a pipe has no width: rich would take 80 and cut the tables
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(terminal(comparison_table(content, cells=False)))
    console.print(terminal(stability_table(content)))
    console.print(terminal(work_comparison(content)))
    print('\n'.join(map(str, files)))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('results', nargs='+', help='results.json, or its folder')
    parser.add_argument('--out', default='adapt_report', help='where to write')
    args = parser.parse_args(argv)
    return run_main(lambda: compare_runs(args))


if __name__ == '__main__':
    sys.exit(main())
