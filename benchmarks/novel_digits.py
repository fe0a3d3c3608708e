"""Do relations to known digits help to discover the others?

    python benchmarks/novel_digits.py

The pictures come with scikit-learn. Stage one of projects/novel_classes, a classifier
of 0 to 4, is trained once for each seed; stage two begins with it, and its runs differ
in the weight of CR-KD alone. Mean and deviation over seeds go to
benchmarks/results/novel_digits.json.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import _measure
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmkd_ext import compat

compat.apply()

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / 'projects/novel_classes/configs'
OUT = ROOT / 'benchmarks/results/novel_digits.json'
WEIGHTS = {'without': 0.0, 'CR-KD 0.1': 0.1, 'CR-KD 1.0': 1.0}


def trained(name: str, seed: int, folder: Path, **options: Any) -> dict[str, float]:
    """Trains a config; returns its accuracies on the test pictures at the end."""
    config = Config.fromfile(CONFIGS / f'{name}.py')
    config.merge_from_dict(
        {'randomness.seed': seed, 'work_dir': str(folder), **options}
    )
    config.experiment_name = f'{folder.parent.name}_{folder.name}'
    config.log_level = 'WARNING'
    runner = Runner.from_cfg(config)
    runner.train()
    scalars = runner.message_hub.log_scalars
    return {
        key: round(float(scalars[f'val/novel/{key}'].current()), 2)
        for key in ('known', 'novel', 'all')
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--epochs', type=int, default=15)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    environment = _measure.environment()
    length = {
        'train_cfg.max_epochs': args.epochs,
        'train_cfg.val_interval': args.epochs,
        'param_scheduler.0.end': args.epochs,
        'param_scheduler.0.T_max': args.epochs,
        'default_hooks.checkpoint.interval': args.epochs,
    }
    runs: dict[str, list[dict[str, float]]] = {'stage one': []}
    with tempfile.TemporaryDirectory() as root:
        for seed in args.seeds:
            here = Path(root) / f'seed{seed}'
            found = trained('known_digits', seed, here / 'known', **length)
            runs['stage one'].append(found)
            teacher = str(here / 'known' / f'epoch_{args.epochs}.pth')
            for run, weight in WEIGHTS.items():
                found = trained(
                    'crkd_digits',
                    seed,
                    here / run.replace(' ', '_'),
                    **length,
                    **{
                        'model.teacher_ckpt': teacher,
                        'model.distiller.links.loss_crkd.loss.loss_weight': weight,
                    },
                )
                runs.setdefault(run, []).append(found)
                print(seed, run, found, flush=True)
            content = {
                'environment': environment,
                'seeds': args.seeds[: len(runs['stage one'])],
                'epochs': args.epochs,
                'runs': runs,
                'mean': {run: spread(rows) for run, rows in runs.items()},
            }
            _measure.write(content, OUT)
    return 0


def spread(rows: Sequence[dict[str, float]]) -> dict[str, list[float]]:
    """Returns mean and standard deviation of each accuracy."""
    found = {}
    for key in rows[0]:
        values = [row[key] for row in rows]
        deviation = statistics.stdev(values) if len(values) > 1 else 0.0
        found[key] = [round(statistics.mean(values), 2), round(deviation, 2)]
    return found


if __name__ == '__main__':
    sys.exit(main())
