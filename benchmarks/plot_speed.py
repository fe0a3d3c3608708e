"""Draws accuracy over images a second: what a smaller picture buys and what it costs.

    python benchmarks/plot_speed.py benchmarks/results/camvid_resolution.json \
        --large 360 480 --small 180 240 --exclude teacher

The file is one of ``repeat.py`` about segmentors. A run whose title says ``WIDTH x
HEIGHT`` of the large pictures is measured at that size, each other one at the small
one: backbone, neck and head on one picture with one thread, the median of nine. The
figure is written to docs/figures/, the speeds to benchmarks/results/<name>_speed.json.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiment_kit.command import REPOSITORY
from experiment_kit.cost import segmentor_cost
from experiment_kit.machine import commit, describe_machine
from mmkd_ext import compat
from mmkd_ext.files import write_json


def measure(
    content: Mapping[str, Any],
    large: tuple[int, int],
    small: tuple[int, int],
    exclude: Sequence[str] = (),
) -> dict[str, dict[str, Any]]:
    """Returns size, cost and accuracy of each run.

    Args:
        content: What ``benchmarks/repeat.py`` wrote.
        large: Height and width of the large pictures.
        small: Those of the others.
        exclude: Runs to leave out.
    """
    from mmengine.config import Config

    part = next(iter(content['sets'].values()))
    costs: dict[str, dict[str, str]] = {}
    found = {}
    for name, run in content['runs'].items():
        if name in exclude or name not in part['runs']:
            continue
        size = large if f'{large[1]} x {large[0]}' in run['title'] else small
        model = Config.fromfile(REPOSITORY / run['config']).model
        model = model.get('architecture', model)
        # students of one network cost the same, whoever taught them
        parts = {k: v for k, v in model.items() if k != 'data_preprocessor'}
        key = f'{size} {parts}'
        if key not in costs:
            costs[key] = segmentor_cost(model, size)
        found[name] = {
            'title': run['title'],
            'size': list(size),
            **costs[key],
            part['lead']: part['runs'][name][part['lead']],
        }
    return found


def draw(runs: Mapping[str, Mapping[str, Any]], lead: str) -> Any:
    """Returns the figure: a dot is a seed, a diamond the mean."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout='constrained')
    axes = figure.subplots()
    for run in runs.values():
        speed, values = float(run['images/s']), run[lead]['values']
        (mean,) = axes.plot(speed, run[lead]['mean'], 'D', label=run['title'])
        axes.plot([speed] * len(values), values, 'o', color=mean.get_color(), alpha=0.4)
    axes.set_xlabel('images a second, one thread of a CPU')
    axes.set_ylabel(lead)
    axes.grid(alpha=0.3)
    axes.legend(fontsize='small')
    return figure


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('results', help='file of repeat.py')
    for name in ('large', 'small'):
        parser.add_argument(
            f'--{name}', nargs=2, type=int, required=True, metavar=('HEIGHT', 'WIDTH')
        )
    parser.add_argument('--exclude', nargs='*', default=(), help='runs to leave out')
    parser.add_argument('--out', default='docs/figures', help='folder')
    args = parser.parse_args(argv)
    compat.apply()
    content = json.loads(Path(args.results).read_text(encoding='utf-8'))
    large, small = tuple(args.large), tuple(args.small)
    runs = measure(content, large, small, args.exclude)
    name = f'{content["experiment"]}_speed'
    write_json(
        f'benchmarks/results/{name}.json',
        {
            'command': f'python benchmarks/plot_speed.py {args.results} --large '
            f'{large[0]} {large[1]} --small {small[0]} {small[1]}',
            'commit': commit(),
            'machine': describe_machine(),
            'runs': runs,
        },
    )
    target = Path(args.out) / f'{name}.png'
    draw(runs, next(iter(content['sets'].values()))['lead']).savefig(target, dpi=110)
    print(target)
    return 0


if __name__ == '__main__':
    os.chdir(REPOSITORY)
    sys.exit(main())
