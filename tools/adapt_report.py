"""Reports an adaptation run: tables on the terminal, and CSV, JSON, Markdown, HTML.

    python tools/adapt_report.py work_dirs/my_run

A run that is not finished can be reported. Several runs are compared by
benchmarks/adapt_compare.py.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from mmkd_ext.errors import MMKDError
from mmkd_ext.evaluation.adaptation.report import write_run
from mmkd_ext.evaluation.adaptation.results import read_results
from mmkd_ext.evaluation.adaptation.tables import (
    round_table,
    settings_table,
    summary_table,
)
from mmkd_ext.evaluation.tables import terminal


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('results', help='work directory, or its results.json')
    parser.add_argument('--out', help='where to write; default: `report` beside it')
    args = parser.parse_args(argv)
    try:
        run = read_results(args.results)
        files = write_run(args.out or Path(run.path).parent / 'report', run)
    except (MMKDError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    # a pipe has no width: rich would take 80 and cut the tables
    console = Console(width=None if sys.stdout.isatty() else 160)
    for table in (settings_table(run), round_table(run), summary_table(run)):
        console.print(terminal(table))
    print('\n'.join(map(str, files)))
    return 0


if __name__ == '__main__':
    sys.exit(main())
