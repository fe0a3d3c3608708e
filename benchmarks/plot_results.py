"""Draws results of several methods: what each gains, or its course over a stream.

    python benchmarks/plot_results.py benchmarks/results/camvid_fpn.json

Of a file of ``repeat.py`` a panel for each set that was tested: a dot is a seed, the
bar the mean and its 95 % confidence interval. Of a file of ``adapt_grid.py`` the mIoU
of each method over the source's, condition by condition. Of the ``results.json`` of one
stream the pictures that it kept: the image, the source's prediction, the adapted one's,
the truth. Written to docs/figures/.
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
from mmkd_ext.evaluation.adaptation.figures import run_figures
from mmkd_ext.evaluation.adaptation.results import read_results

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


def draw_stream(content: Mapping[str, Any]) -> Any:
    """Returns the figure of the results of a grid of adaptations.

    Args:
        content: What ``benchmarks/adapt_grid.py`` wrote.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    source = content['runs']['Source']['cells']
    places = [(turn, name) for turn, cells in source.items() for name in cells]
    if len(places) == 1:
        return draw_cell(content, *places[0])
    figure = Figure(figsize=(2.5 + 0.55 * len(places), 4), layout='constrained')
    axes = figure.subplots()
    axes.set_prop_cycle(color=colormaps['tab20'].colors)
    axes.axhline(0, color='black', linewidth=1, label='Source')
    for (name, run), marker in zip(content['runs'].items(), 'osD^vPXhd<>*' * 3):
        if name == 'Source':
            continue
        cells = run['cells']
        gains = [
            cells[turn][place]['mean'] - source[turn][place]['mean']
            for turn, place in places
        ]
        axes.plot(range(len(places)), gains, marker=marker, label=name, alpha=0.8)
    axes.set_xticks(
        range(len(places)), [f'{name} {turn}' for turn, name in places], rotation=60
    )
    axes.set_ylabel('mIoU over the source')
    axes.grid(alpha=0.3)
    figure.legend(loc='outside right upper')
    return figure


def draw_cell(content: Mapping[str, Any], turn: str, name: str) -> Any:
    """Returns the figure of a grid on a stream of one condition, seen once."""
    from matplotlib.figure import Figure

    found = {run: part['cells'][turn][name] for run, part in content['runs'].items()}
    source = found.pop('Source')['mean']
    found = dict(sorted(found.items(), key=lambda item: item[1]['mean']))
    gains = [cell['mean'] - source for cell in found.values()]
    figure = Figure(figsize=(6.5, 1.2 + 0.3 * len(found)), layout='constrained')
    axes = figure.subplots()
    colours = [HELP if gain > 0 else LOSS for gain in gains]
    bars = axes.barh(list(found), gains, color=colours)
    axes.bar_label(bars, fmt='%+.1f', padding=3)
    axes.axvline(0, color='black', linewidth=1)
    axes.margins(x=0.2)
    axes.set_xlabel(f'mIoU over the source ({source:.1f}) on {name}')
    return figure


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'results', nargs='+', help='files of repeat.py or adapt_grid.py'
    )
    parser.add_argument('--out', default='docs/figures', help='folder')
    parser.add_argument('--name', help="of the figure, by default the experiment's")
    args = parser.parse_args(argv)
    for file in args.results:
        content = json.loads(Path(file).read_text(encoding='utf-8'))
        if not {'sets', 'orders', 'pictures'} & content.keys():
            parser.error(f'{file!r} is of no experiment, grid or stream')
        name = args.name or content.get('experiment', 'predictions')
        target = Path(args.out) / f'{name}.png'
        target.parent.mkdir(parents=True, exist_ok=True)
        if 'pictures' in content:
            figures = run_figures(read_results(file))
            if 'predictions' not in figures:
                parser.error(f'{file!r} has no pictures: `test_cfg.pictures` was 0')
            target.write_bytes(figures['predictions'])
        else:
            draw = draw_gains if 'sets' in content else draw_stream
            draw(content).savefig(target, dpi=110)
        print(target)
    return 0


if __name__ == '__main__':
    os.chdir(REPOSITORY)
    sys.exit(main())
