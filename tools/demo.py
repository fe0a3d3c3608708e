"""The demo: a distilled student against the same student alone, on toy street scenes.

    make demo            (or: python tools/demo.py)

Draws the streets, trains a teacher, the student alone and the student distilled, tests
all three, and writes a report. Each training and test is one call of tools/train.py or
tools/test.py with a file of configs/demo/. What is done is kept: a second call only
makes what is missing, and goes on where the first was stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from dataclasses import asdict
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from mmkd_ext.datasets.streets import StreetSettings, make_streets  # noqa: E402
from mmkd_ext.errors import MMKDError  # noqa: E402
from mmkd_ext.evaluation.experiment import (  # noqa: E402
    Workshop,
    load_experiment,
    stop_on_signals,
)

EXPERIMENT = 'benchmarks/experiments/demo.py'
STREETS = 'data/streets'


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Returns the command line's choices."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--seed', type=int, default=0, help='of all three trainings')
    parser.add_argument('--fresh', action='store_true', help='train everything anew')
    parser.add_argument('--work-dir', default='work_dirs/demo', help='where to write')
    parser.add_argument('--experiment', default=EXPERIMENT, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


class Clock:
    """Prints lines with the time since the start."""

    def __init__(self) -> None:
        self.started = time.monotonic()

    def __call__(self, line: str) -> None:
        """Prints ``line``."""
        seconds = int(time.monotonic() - self.started)
        print(f'[{seconds // 60}:{seconds % 60:02d}] {line}', flush=True)


def outdated(settings: StreetSettings) -> bool:
    """Whether an older version of these tools drew the same streets."""
    try:
        found = json.loads((Path(STREETS) / 'streets.json').read_text())
        return bool(found['settings'] == asdict(settings))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def demo(args: argparse.Namespace) -> None:
    """Makes everything and prints the table."""
    say = Clock()
    root = Path(args.work_dir)
    settings = StreetSettings(seed=0)
    say(f'streets: {settings.images} pictures in {STREETS}')
    streets = make_streets(STREETS, settings, show=True, force=outdated(settings))
    say('streets: drawn' if streets.drawn else 'streets: drawn before, kept')
    experiment = load_experiment(args.experiment)
    data = (streets.root / 'streets.json').read_text()
    # the student alone needs no teacher: the two are trained side by side
    workshop = Workshop(
        root,
        fresh=args.fresh,
        say=say,
        data=data,
        pictures=True,
        jobs=min(2, os.cpu_count() or 1),
    )
    outcomes = workshop.run(experiment, args.seed)

    say('measuring cost, writing the report')
    from mmkd_ext import compat

    compat.apply()
    from rich.console import Console

    from mmkd_ext.evaluation.demo import costs, make_report, result_table, verdict

    found = costs(experiment, (128, 256))
    page, text = make_report(experiment, outcomes, root, found, seed=args.seed)
    say('done')
    console = Console(width=None if sys.stdout.isatty() else 100)
    console.print()
    console.print(result_table(experiment, outcomes, found).rich())
    console.print(verdict(experiment, outcomes).replace('`', ''), highlight=False)
    print(f'\nReport: {page}\n        {text}', flush=True)


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status."""
    args = parse_args(argv)
    os.chdir(REPOSITORY)
    try:
        with stop_on_signals():
            demo(args)
    except MMKDError as error:
        print(f'\n{error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        again = shlex.join(['python', 'tools/demo.py', *(argv or sys.argv[1:])])
        again = again.replace(' --fresh', '')
        print(f'\nStopped. To go on from here: make demo, or {again}', file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
