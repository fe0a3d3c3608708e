"""Reports an adaptation run: tables on the terminal, and CSV, JSON, Markdown, HTML.

    mmkd report work_dirs/my_run

A run that is not finished can be reported. Several runs are compared by
benchmarks/adapt_compare.py.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mmkd_ext.errors import MMKDError
from mmkd_ext.evaluation.adaptation.report import show_run


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('results', help='work directory, or its results.json')
    parser.add_argument('--out', help='where to write; default: `report` beside it')
    args = parser.parse_args(argv)
    try:
        files = show_run(args.results, args.out)
    except (MMKDError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    print('\n'.join(map(str, files)))
    return 0
