"""The demo: a distilled student against the same student alone, on toy street scenes.

    make demo            (or: python benchmarks/demo.py)

Draws the streets, trains a teacher, the student alone and the student distilled, tests
all three, and writes a report. Each training and test is one call of tools/train.py or
tools/test.py with a file of benchmarks/configs/demo/. What is done is kept: a second
call only makes what is missing, and goes on where the first was stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from experiment_kit.command import REPOSITORY, run_main
from experiment_kit.cost import segmentor_cost
from experiment_kit.experiment import (
    Experiment,
    ExperimentRunner,
    Outcome,
    load_experiment,
)
from experiment_kit.machine import describe_machine
from experiment_kit.training_report import (
    TrainedModel,
    change_text,
    result_table,
    write_training_report,
)
from mmkd_ext.errors import DataError
from mmkd_ext.evaluation.tables import terminal
from mmkd_ext.version import stack_versions
from projects.toy_streets import StreetSettings, make_streets

EXPERIMENT = 'benchmarks/experiments/demo.py'
STREETS = 'data/streets'
SIZE = (128, 256)


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


def models_of(
    experiment: Experiment, outcomes: Sequence[Outcome], size: tuple[int, int]
) -> dict[str, TrainedModel]:
    """Returns the plain student, the distilled one and its teacher, with their costs.

    Models that are equal are measured once, so their figures cannot differ by noise.

    Raises:
        DataError: The experiment has not one plain and one distilled student.
    """
    from mmengine.config import Config

    name = next(iter(experiment.tests))
    measured: list[tuple[Any, dict[str, str]]] = []
    models: dict[str, TrainedModel] = {}
    for outcome in outcomes:
        run = outcome.run
        model = Config.fromfile(run.config).model
        model = model.get('architecture', model).to_dict()
        costs = next((costs for known, costs in measured if known == model), None)
        if costs is None:
            costs = segmentor_cost(model, size)
            measured.append((model, costs))
        role = 'distilled' if run.teacher else 'teacher' if run.once else 'plain'
        models[role] = TrainedModel(
            run.title,
            run.config,
            outcome.folder,
            outcome.metrics[name],
            outcome.seconds,
            costs,
            outcome.folder / f'test_{name}' / 'predictions',
        )
    if len(models) != 3 or len(outcomes) != 3:
        raise DataError(
            f'A report needs a teacher (`once=True`), a plain and a distilled student, '
            f'but {experiment.source!r} has {[run.name for run in experiment.runs]}.'
        )
    return models


def test_set(experiment: Experiment) -> Any:
    """Returns the data set that the experiment is tested on."""
    from mmengine.config import Config
    from mmengine.registry import DATASETS, init_default_scope

    config = Config.fromfile(experiment.runs[0].config)
    init_default_scope(config.get('default_scope', 'mmseg'))
    options = {**experiment.options, **next(iter(experiment.tests.values()))}
    config.merge_from_dict(options)
    return DATASETS.build(config.test_dataloader.dataset)


def about(seed: int, size: tuple[int, int]) -> str:
    """Returns what a reader should know of the figures."""
    machine, versions = describe_machine(), stack_versions()
    return (
        f'Seed {seed}. FLOPs and images a second at {size[0]} x {size[1]}, one picture '
        f'at a time, on the CPU. {machine["processor"]}, {machine["cores"]} cores; '
        f'torch {versions.get("torch", "?")}, mmcv {versions.get("mmcv", "?")}; '
        f'{time.strftime("%Y-%m-%d", time.gmtime())}.'
    )


def demo(args: argparse.Namespace) -> int:
    """Makes everything and prints the table."""
    log = Clock()
    root = Path(args.work_dir)
    settings = StreetSettings(seed=0)
    log(f'streets: {settings.images} pictures in {STREETS}')
    streets = make_streets(STREETS, settings, show=True, force=outdated(settings))
    log('streets: drawn' if streets.drawn else 'streets: drawn before, kept')
    experiment = load_experiment(args.experiment)
    # the student alone needs no teacher: the two are trained side by side
    runner = ExperimentRunner(
        root,
        fresh=args.fresh,
        log=log,
        data=(streets.root / 'streets.json').read_text(),
        pictures=True,
        jobs=min(2, os.cpu_count() or 1),
    )
    outcomes = runner.run(experiment, args.seed)

    log('measuring cost, writing the report')
    from rich.console import Console

    models = models_of(experiment, outcomes, SIZE)
    page, text = write_training_report(
        root,
        title=experiment.title,
        **models,
        dataset=test_set(experiment),
        about=about(args.seed, SIZE),
    )
    log('done')
    console = Console(width=None if sys.stdout.isatty() else 100)
    shown = [models[role] for role in ('teacher', 'plain', 'distilled')]
    table = result_table(shown, models['distilled'])
    console.print()
    console.print(terminal(table, experiment.title))
    console.print(change_text(**models), highlight=False)
    print(f'\nReport: {page}\n        {text}', flush=True)
    return 0


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--seed', type=int, default=0, help='of all three trainings')
    parser.add_argument('--fresh', action='store_true', help='train everything anew')
    parser.add_argument('--work-dir', default='work_dirs/demo', help='where to write')
    parser.add_argument('--experiment', default=EXPERIMENT, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    os.chdir(REPOSITORY)
    return run_main(lambda: demo(args), 'make demo')


if __name__ == '__main__':
    sys.exit(main())
