"""Runs a grid of adaptations and writes mean and deviation as JSON.

    python benchmarks/adapt_grid.py benchmarks/experiments/<grid>.py

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
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from experiment_kit.command import REPOSITORY, experiment_parser, run_main
from experiment_kit.comparison import (
    comparison_table,
    stability_table,
    work_comparison,
)
from experiment_kit.experiment import ExperimentRunner
from experiment_kit.grid import (
    GridRunner,
    collect,
    load_grid,
    parse_shard,
    source_checkpoint,
)
from experiment_kit.runner import print_log
from mmkd_ext.evaluation.tables import markdown
from mmkd_ext.files import write_json


class ForkingRunner(GridRunner):
    """Begins each run as a fork of this process, which has imported what it needs."""

    def step(
        self,
        command: Sequence[str],
        log_file: Path,
        name: str,
        progress: Callable[[], None] = lambda: None,
    ) -> float:
        """Runs ``tools/test.py`` with these arguments in a child."""
        import mmseg.models  # noqa: F401  (once, for all children)

        from mmkd_ext.cli.test import main as test

        started = time.monotonic()
        log_file.parent.mkdir(parents=True, exist_ok=True)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                with log_file.open('a', buffering=1) as sink:
                    os.dup2(sink.fileno(), 1)
                    os.dup2(sink.fileno(), 2)
                    test(command[1:])
                    status = 0
            finally:
                os._exit(status)
        try:
            while os.waitpid(child, os.WNOHANG) == (0, 0):
                time.sleep(2)
                progress()
        except BaseException:
            os.kill(child, signal.SIGTERM)
            raise
        # a run that failed has left cells out, which the grid finds
        return time.monotonic() - started


def adapt(args: argparse.Namespace) -> int:
    """Does what was asked for."""
    grid = load_grid(args.grid)
    if args.seeds:
        grid = dataclasses.replace(grid, seeds=tuple(args.seeds))
    if args.checkpoint:
        grid = dataclasses.replace(grid, checkpoint=args.checkpoint, source='')
    part, count = parse_shard(args.shard)
    runs = grid.runs[part - 1 :: count]
    if args.list:
        print('\n'.join(run.name for run in runs))
        return 0
    root = Path(args.work_dir or f'work_dirs/grid/{grid.name}')
    may_train = args.source_only or (count == 1 and not args.collect)
    # grids of the same source share it
    sources = ExperimentRunner(
        root.parent / 'sources', log=print_log, fresh=args.fresh and may_train
    )
    checkpoint = source_checkpoint(grid, sources, train=may_train)
    print_log(f'source model: {checkpoint}')
    if args.source_only:
        return 0
    policy = dict(jobs=args.jobs, keep_going=args.keep_going, fresh=args.fresh)
    kind = ForkingRunner if args.fork else GridRunner
    runner = kind(grid, checkpoint, root, log=print_log, **policy)
    target = args.json or f'benchmarks/results/{grid.name}.json'
    try:
        if not args.collect:
            print_log(f'--- {grid.title}: {len(runs)} of {len(grid.runs)} runs')
            runner.run(runs)
    finally:
        # also what was finished before a failure
        content = collect(runner, note=args.note)
        write_json(target, content)
        print_log(f'results: {target}')
    for table in (
        comparison_table(content, cells=False),
        stability_table(content),
        work_comparison(content),
    ):
        print(f'\n{markdown(table)}')
    for name, why in content['failed'].items():
        print(f'failed: {name} ({why})', file=sys.stderr)
    if content['missing']:
        print(f'{len(content["missing"])} runs are missing.', file=sys.stderr)
    return 1 if content['failed'] else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    parser = experiment_parser(__doc__, 'grid', 'grid')
    parser.add_argument('--checkpoint', help="the source model, instead of the file's")
    parser.add_argument('--shard', default='1/1', help='i/n: every n-th run alone')
    parser.add_argument(
        '--fork', action='store_true', help='fork runs instead of starting each anew'
    )
    only = parser.add_mutually_exclusive_group()
    only.add_argument('--list', action='store_true', help='print the runs, do nothing')
    only.add_argument(
        '--source-only', action='store_true', help='train the source model, no more'
    )
    only.add_argument(
        '--collect', action='store_true', help='write the results of what is done'
    )
    args = parser.parse_args(argv)
    return run_main(lambda: adapt(args))


if __name__ == '__main__':
    os.chdir(REPOSITORY)
    sys.exit(main())
