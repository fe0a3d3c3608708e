"""Draws what each method of an experiment gains, with its spread over seeds.

    python benchmarks/plot_gains.py benchmarks/results/camvid_fpn.json

One figure a file, a panel for each set that was tested: a dot is a seed, the bar the
mean and its 95 % confidence interval. It is written to docs/figures/<name>.png.
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
from experiment_kit.statistics import interval

HELP, LOSS, UNCLEAR = '#1b7837', '#b2182b', '#7f7f7f'


def draw_gains(content: Mapping[str, Any]) -> Any:
    """Returns the figure of the results of an experiment.

    Args:
        content: What ``benchmarks/repeat.py`` wrote.
    """
    from matplotlib.figure import Figure

    sets = {name: part for name, part in content['sets'].items() if part['gain']}
    runs = sorted(
        next(iter(sets.values()))['gain'].items(), key=lambda item: item[1]['mean']
    )
    figure = Figure(
        figsize=(1.5 + 4 * len(sets), 1.2 + 0.3 * len(runs)), layout='constrained'
    )
    panels = figure.subplots(1, len(sets), sharey=True, squeeze=False)[0]
    for axes, (name, part) in zip(panels, sets.items()):
        plain = part['runs'][runs[0][1]['over']][part['lead']]
        for row, (run, _) in enumerate(runs):
            gain = part['gain'][run]
            low, high = interval(gain['values']) or (gain['mean'], gain['mean'])
            colour = HELP if low > 0 else LOSS if high < 0 else UNCLEAR
            axes.plot([low, high], [row, row], color=colour, linewidth=2)
            axes.plot(gain['mean'], row, 'D', color=colour, markersize=6)
            axes.plot(
                gain['values'], [row] * len(gain['values']), 'o', color=colour,
                markersize=4, alpha=0.5,
            )  # fmt: skip
        axes.axvline(0, color='black', linewidth=1)
        axes.set_xlabel(f'{part["lead"]} gained on {name}')
        axes.set_title(f'{name}: alone {plain["mean"]:.1f}', fontsize='medium')
        axes.grid(axis='x', alpha=0.3)
    titles = [content['runs'][run]['title'] for run, _ in runs]
    panels[0].set_yticks(range(len(runs)), titles)
    return figure


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('results', nargs='+', help='files of repeat.py')
    parser.add_argument('--out', default='docs/figures', help='folder')
    args = parser.parse_args(argv)
    for file in args.results:
        content = json.loads(Path(file).read_text(encoding='utf-8'))
        if 'sets' not in content or 'gain' not in next(iter(content['sets'].values())):
            parser.error(f'{file!r} is no result of repeat.py')
        target = Path(args.out) / f'{content["experiment"]}.png'
        target.parent.mkdir(parents=True, exist_ok=True)
        draw_gains(content).savefig(target, dpi=110)
        print(target)
    return 0


if __name__ == '__main__':
    os.chdir(REPOSITORY)
    sys.exit(main())
