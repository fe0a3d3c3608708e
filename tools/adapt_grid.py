"""Runs a grid of adaptations and writes mean and spread as JSON.

    python tools/adapt_grid.py benchmarks/experiments/<grid>.py

A grid's file names methods, orders, learning rates and seeds; every run is one call of
tools/test.py in a folder of its own. What is done is kept and what was stopped goes on,
so a second call only does what is missing; ``--fresh`` starts anew. Source models are
trained in ``sources`` beside that folder, once for all grids. ``--shard 2/3``
does every third run, from the second on, for several processes or nodes with a common
disk; each of them collects what all have finished.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from mmkd_ext.errors import MMKDError  # noqa: E402
from mmkd_ext.evaluation.adaptation.compare import (  # noqa: E402
    comparison_table,
    stability_table,
    work_comparison,
)
from mmkd_ext.evaluation.adaptation.grid import (  # noqa: E402
    Grid,
    GridBench,
    collect,
    load_grid,
    parse_shard,
    source_checkpoint,
)
from mmkd_ext.evaluation.experiment import (  # noqa: E402
    Workshop,
    stop_on_signals,
)
from mmkd_ext.evaluation.files import write_json  # noqa: E402


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Returns the command line's choices."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('grid', help='file in benchmarks/experiments/')
    parser.add_argument('--seeds', type=int, nargs='+', help="instead of the file's")
    parser.add_argument('--checkpoint', help="the source model, instead of the file's")
    parser.add_argument('--work-dir', help='default: work_dirs/grid/<name>')
    parser.add_argument(
        '--json', help='where to write; default: benchmarks/results/<name>.json'
    )
    parser.add_argument(
        '--note', default='', help='goes into the results: what a reader should know'
    )
    parser.add_argument('--jobs', type=int, default=1, help='so many runs side by side')
    parser.add_argument('--shard', default='1/1', help='i/n: every n-th run alone')
    parser.add_argument(
        '--keep-going',
        action='store_true',
        help='a run that fails does not stop the others',
    )
    parser.add_argument('--fresh', action='store_true', help='run everything anew')
    only = parser.add_mutually_exclusive_group()
    only.add_argument('--list', action='store_true', help='print the runs, do nothing')
    only.add_argument(
        '--source-only', action='store_true', help='train the source model, no more'
    )
    only.add_argument(
        '--collect', action='store_true', help='write the results of what is done'
    )
    return parser.parse_args(argv)


def chosen(args: argparse.Namespace) -> Grid:
    """Returns the grid as the command line changes it."""
    grid = load_grid(args.grid)
    if args.seeds:
        grid = dataclasses.replace(grid, seeds=tuple(args.seeds))
    if args.checkpoint:
        grid = dataclasses.replace(grid, checkpoint=args.checkpoint, source='')
    return grid


def work(grid: Grid, args: argparse.Namespace) -> dict[str, Any] | None:
    """Does what was asked for; returns the results, if any were."""
    part, count = parse_shard(args.shard)
    runs = grid.runs[part - 1 :: count]
    if args.list:
        for run in runs:
            print(run.name)
        return None
    root = Path(args.work_dir or f'work_dirs/grid/{grid.name}')
    may_train = args.source_only or (count == 1 and not args.collect)
    fresh = args.fresh and may_train
    # grids of the same source share it
    workshop = Workshop(root.parent / 'sources', say=_say, fresh=fresh)
    checkpoint = source_checkpoint(grid, workshop, train=may_train)
    _say(f'source model: {checkpoint}')
    if args.source_only:
        return None
    policy = dict(jobs=args.jobs, keep_going=args.keep_going, fresh=args.fresh)
    bench = GridBench(grid, checkpoint, root, say=_say, **policy)
    target = args.json or f'benchmarks/results/{grid.name}.json'
    try:
        if not args.collect:
            _say(f'--- {grid.title}: {len(runs)} of {len(grid.runs)} runs')
            bench.run(runs)
    finally:
        # also what was finished before a failure
        content = collect(bench, note=args.note)
        write_json(target, content)
        _say(f'results: {target}')
    return content


def _say(line: str) -> None:
    print(f'[{time.strftime("%H:%M:%S")}] {line}', flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    args = parse_args(argv)
    try:
        with stop_on_signals():
            content = work(chosen(args), args)
    except MMKDError as error:
        print(f'\n{error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('\nStopped. The same command goes on from here.', file=sys.stderr)
        return 130
    if content is None:
        return 0
    for table in (
        comparison_table(content, cells=False),
        stability_table(content),
        work_comparison(content),
    ):
        print(f'\n{table.markdown()}')
    for name, why in content['failed'].items():
        print(f'failed: {name} ({why})', file=sys.stderr)
    if content['missing']:
        print(f'{len(content["missing"])} runs are missing.', file=sys.stderr)
    return 1 if content['failed'] else 0


if __name__ == '__main__':
    os.chdir(REPOSITORY)
    sys.exit(main())
