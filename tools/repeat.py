"""Repeats an experiment over seeds and writes mean and spread as JSON.

    python tools/repeat.py benchmarks/experiments/camvid_fpn.py

An experiment's file names configs, test sets and seeds; every training and test is one
call of tools/train.py or tools/test.py. Runs marked ``once`` (the teacher) are trained
with the first seed and serve all. What is done is kept: a second call only does what is
missing, and ``--fresh`` starts anew.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from mmkd_ext.errors import MMKDError  # noqa: E402
from mmkd_ext.evaluation.experiment import (  # noqa: E402
    Experiment,
    Outcome,
    Workshop,
    load_experiment,
    stop_on_signals,
)
from mmkd_ext.evaluation.files import write_json  # noqa: E402
from mmkd_ext.evaluation.repetition import (  # noqa: E402
    cost_table,
    results,
    summary_table,
)


def parse_args() -> argparse.Namespace:
    """Returns the command line's choices."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('experiment', help='file in benchmarks/experiments/')
    parser.add_argument('--seeds', type=int, nargs='+', help="instead of the file's")
    parser.add_argument('--work-dir', help='default: work_dirs/repeat/<name>')
    parser.add_argument(
        '--json', help='where to write; default: benchmarks/results/<name>.json'
    )
    parser.add_argument(
        '--note', default='', help='goes into the results: what a reader should know'
    )
    parser.add_argument(
        '--jobs', type=int, default=1, help='so many trainings side by side'
    )
    parser.add_argument(
        '--keep-going',
        action='store_true',
        help='a run that fails does not stop the others',
    )
    parser.add_argument('--fresh', action='store_true', help='train everything anew')
    return parser.parse_args()


def repeat(experiment: Experiment, args: argparse.Namespace) -> dict[str, Any]:
    """Runs every seed, rewriting the results after each, and returns the last."""
    root = args.work_dir or f'work_dirs/repeat/{experiment.name}'
    target = args.json or f'benchmarks/results/{experiment.name}.json'
    workshop = Workshop(
        root,
        fresh=args.fresh,
        say=_say,
        jobs=args.jobs,
        keep_going=args.keep_going,
    )
    collected: dict[int, list[Outcome]] = {}
    content: dict[str, Any] = {}
    for seed in args.seeds or experiment.seeds:
        _say(f'--- {experiment.title}, seed {seed}')
        collected[seed] = workshop.run(experiment, seed, folder=f'seed{seed}')
        content = results(
            experiment, collected, note=args.note, failures=workshop.failures
        )
        write_json(target, content)
    _say(f'results: {target}')
    return content


def _say(line: str) -> None:
    print(f'[{time.strftime("%H:%M:%S")}] {line}', flush=True)


def main() -> int:
    """Returns the exit status."""
    args = parse_args()
    os.chdir(REPOSITORY)
    try:
        with stop_on_signals():
            content = repeat(load_experiment(args.experiment), args)
    except MMKDError as error:
        print(f'\n{error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('\nStopped. The same command goes on from here.', file=sys.stderr)
        return 130
    for name in content['sets']:
        print(f'\n{name}\n{summary_table(content, name).markdown()}')
    print(f'\n{cost_table(content).markdown()}')
    for failure in content['failed']:
        print(f'failed: {failure["run"]}, seed {failure["seed"]}', file=sys.stderr)
    return 1 if content['failed'] else 0


if __name__ == '__main__':
    sys.exit(main())
