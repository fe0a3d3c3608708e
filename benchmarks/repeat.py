"""Repeats an experiment over seeds and writes mean and deviation as JSON.

    python benchmarks/repeat.py benchmarks/experiments/camvid_fpn.py

An experiment's file names configs, test sets and seeds; every training and test is one
call of tools/train.py or tools/test.py. Runs marked ``once`` (the teacher) are trained
with the first seed and serve all. What is done is kept, and what was stopped goes on,
so a second call only does what is missing; ``--fresh`` starts anew.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from experiment_kit.command import REPOSITORY, experiment_parser, run_main
from experiment_kit.experiment import ExperimentRunner, Outcome, load_experiment
from experiment_kit.results import cost_table, results, summary_table
from experiment_kit.runner import print_log
from mmkd_ext.evaluation.tables import markdown
from mmkd_ext.files import write_json


def repeat(args: argparse.Namespace) -> int:
    """Runs every seed and rewrites the results after each."""
    experiment = load_experiment(args.experiment)
    if args.runs:
        experiment = experiment.only(args.runs)
    seeds = args.seeds or experiment.seeds
    if args.list:
        for run in experiment.runs:
            shown = experiment.seeds[:1] if run.once else seeds
            print(f'{run.name}: {run.config}, seeds {", ".join(map(str, shown))}')
        return 0
    runner = ExperimentRunner(
        args.work_dir or f'work_dirs/repeat/{experiment.name}',
        fresh=args.fresh,
        log=print_log,
        jobs=args.jobs,
        keep_going=args.keep_going,
    )
    target = args.json or f'benchmarks/results/{experiment.name}.json'
    outcomes: dict[int, list[Outcome]] = {}
    for seed in seeds:
        print_log(f'--- {experiment.title}, seed {seed}')
        outcomes[seed] = runner.run(experiment, seed, folder=f'seed{seed}')
        content = results(
            experiment, outcomes, note=args.note, failures=runner.failures
        )
        if args.runs:
            content['command'] += f' --runs {" ".join(args.runs)}'
        write_json(target, content)
    print_log(f'results: {target}')
    for name in content['sets']:
        print(f'\n{name}\n{markdown(summary_table(content, name))}')
    print(f'\n{markdown(cost_table(content))}')
    for failure in content['failed']:
        print(f'failed: {failure["run"]}, seed {failure["seed"]}', file=sys.stderr)
    return 1 if content['failed'] else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    parser = experiment_parser(__doc__, 'experiment', 'repeat')
    parser.add_argument(
        '--runs',
        nargs='+',
        metavar='NAME',
        help='only these, and what they need; gains want the student alone too',
    )
    parser.add_argument('--list', action='store_true', help='print the runs, no more')
    args = parser.parse_args(argv)
    return run_main(lambda: repeat(args))


if __name__ == '__main__':
    os.chdir(REPOSITORY)
    sys.exit(main())
