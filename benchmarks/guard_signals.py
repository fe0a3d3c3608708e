"""Prints what a guard saw of each run of a grid: best, first bad and last round.

    python benchmarks/adapt_grid.py benchmarks/experiments/adapt_streets_guard.py
    python benchmarks/guard_signals.py work_dirs/grid/adapt_streets_guard

The first bad round is the first one after the best that is behind round 1. Beside its
number and mIoU stands the share of the expected IoU that is lost, a mean over the
round.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import fmean

from rich.console import Console
from rich.table import Table

from mmkd_ext.evaluation.adaptation.results import AdaptResults, read_results


def signals(run: AdaptResults, round_: int) -> str:
    """Returns number, mIoU and lost share of a round."""
    points = [point for point in run.timeline if point['round'] == round_]
    lost = [p['lost'] for p in points if p.get('lost') is not None]
    share = f'{fmean(lost):.2f}' if lost else '-'
    return f'{round_} ({run.round_mean(round_):.1f}): {share}'


def main() -> None:
    """Reads and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('grid', type=Path, help='work directory of a grid')
    files = sorted(parser.parse_args().grid.glob('*/*/results.json'))
    if not files:
        parser.error('there is no */*/results.json in it: run the grid first.')
    table = Table('run', 'best round', 'behind round 1', 'last round')
    for file in files:
        run = read_results(file.parent)
        means = {r: run.round_mean(r) for r in run.whole_rounds}
        known = {r: mean for r, mean in means.items() if mean is not None}
        best = max(known, key=lambda r: known[r])
        behind = [r for r in known if r > best and known[r] < known[1]]
        table.add_row(
            file.parts[-3],
            signals(run, best),
            signals(run, behind[0]) if behind else 'never',
            signals(run, max(known)),
        )
    Console(width=120).print(table)


if __name__ == '__main__':
    main()
