"""Tables of the files in benchmarks/results, for the page on benchmarks.

What is said about a file of each kind is in templates/results.md.j2.
"""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from tabulate import tabulate

from mmkd_ext.evaluation.tables import markdown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / 'benchmarks' / 'results'
SIDES = {'l': 'left', 'c': 'center', 'r': 'right'}

#: Figures of videos that stand beside the one that leads.
VIDEO = ('MSE of the last', 'KL', 'frames/s')
#: Kinds of files, by a key of their content or of their first row.
KINDS = {
    'boxes': 'boxes',
    'rank': 'search',
    'mean': 'novel_classes',
    'folders': 'share',
    'false_alarms_on_unchanged': 'mutations',
    'oracle': 'oracle',
    'pictures': 'guard',
    'signals': 'mixing',
    'sets': 'experiment',
    'orders': 'grid',
    'dose_to_cotta': 'adaptation_speed',
    'row_mib': 'stores',
    'pair': 'steps',
    'teacher': 'teachers',
    'loss': 'losses',
    'method': 'methods',
}


def table(
    header: Sequence[str], rows: Iterable[Sequence[str]], sides: str = 'lr'
) -> str:
    r"""Returns a table in Markdown.

    Args:
        header: Names of the columns.
        rows: As many cells as columns; ``|`` in them is escaped.
        sides: For each column ``l``, ``c`` or ``r``; the last holds for the rest.

    Examples:
        >>> print(table(['a', 'b'], [['x|y', '1']]))
        | a    |   b |
        |:-----|----:|
        | x\|y |   1 |
    """
    cells = [[cell.replace('|', '\\|') for cell in line] for line in (header, *rows)]
    align = [SIDES[side] for side in sides.ljust(len(header), sides[-1])]
    text: str = tabulate(
        cells[1:], cells[0], 'pipe', colalign=align, disable_numparse=True
    )
    return text


def columns(
    found: Iterable[Mapping[str, Any]], cells: Mapping[str, str], sides: str = 'lr'
) -> str:
    """Returns a table whose cells are formats of a row's values, by column."""
    rows = [[cell.format_map(row) for cell in cells.values()] for row in found]
    return table(list(cells), rows, sides)


def named(found: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns rows that also hold the name that they stand under."""
    return [dict(row, name=name) for name, row in found.items()]


def pairs(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns rows of a name and its value."""
    return [dict(name=name, value=value) for name, value in found.items()]


def sized(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns rows that also hold their shape as text."""
    return [dict(row, size=size(row['shape'])) for row in rows]


def size(shape: Iterable[int]) -> str:
    """Returns a shape as text."""
    return ' x '.join(map(str, shape))


def spread(summary: Mapping[str, Any], spec: str = '.2f') -> str:
    """Returns a mean with its standard deviation, where there is one."""
    mean = format(summary['mean'], spec)
    return mean if summary['std'] is None else f'{mean} ± {summary["std"]:.2f}'


def leading_table(content: Mapping[str, Any], name: str) -> str:
    """Returns the table of an experiment on one set: mean, what else, gains."""
    figures = content['sets'][name]
    lead, runs = figures.get('lead', 'mIoU'), figures['runs']
    every = {run: {**found, **found.get('class AP', {})} for run, found in runs.items()}
    others = ['AP50', *next(iter(runs.values())).get('class AP', {})]
    if lead != 'AP':
        others = ['without rare classes', *VIDEO]
    others = [one for one in others if all(one in found for found in every.values())]
    rows = []
    for run, about in content['runs'].items():
        gain, text, each, pays = figures['gain'].get(run), '', '', ''
        minutes = fmean(about.get('train_seconds') or [0]) / 60
        if gain:
            text = spread(gain, '+.2f')
            text = f'none ({text})' if gain.get('verdict') == 'none' else text
            each = ', '.join(f'{value:+.2f}' for value in gain['values'])
            pays = f'{gain["mean"] / minutes:+.1f}' if minutes else ''
        means = [spread(every[run][figure]) for figure in (lead, *others)]
        count = str(len(runs[run][lead]['values']))
        took = f'{minutes:.1f}' if minutes else ''
        rows.append([about['title'], *means, count, text, each, took, pays])
    header = ['', f'{lead} on {name}', *others, 'runs', 'gain', 'gain of each seed',
              'minutes', 'gain a minute']  # fmt: skip
    return table(header, rows)


def class_table(content: Mapping[str, Any], name: str) -> str:
    """Returns the mean IoU of each class of an experiment on one set."""
    figures = content['sets'][name]
    runs = {run: found['IoU'] for run, found in figures['runs'].items()
            if found.get('IoU')}  # fmt: skip
    names, rare = list(next(iter(runs.values()), {})), figures.get('rare', [])
    rows = [[about['title'], *(f'{runs[run][one]["mean"]:.1f}' for one in names)]
            for run, about in content['runs'].items() if run in runs]  # fmt: skip
    header = ['IoU', *(f'*{one}*' if one in rare else one for one in names)]
    return table(header, rows) if names else ''


def cost_table(content: Mapping[str, Any]) -> str:
    """Returns what distilling costs, where it was measured."""
    rows = []
    for about in content['runs'].values():
        step, share = about.get('step'), about.get('kd_share', {}).get('all')
        if step and share:
            ratio = f'{step["to_plain"]:.2f}' if 'to_plain' in step else ''
            rows.append(dict(share, title=about['title'], ratio=ratio,
                             ms=1000 * step['seconds']))  # fmt: skip
    cells = {
        '': '{title}', 'ms a step': '{ms:.0f}', 'to the student alone': '{ratio}',
        'KD share at first, %': '{first:.0f}', 'KD share on average, %': '{mean:.0f}',
    }  # fmt: skip
    return columns(rows, cells) if rows else ''


def oracle_table(content: Mapping[str, Any]) -> str:
    """Returns what each width scores on each set."""
    camvid = content['camvid']
    sets = list(dict.fromkeys(name for row in camvid.values() for name in row))
    rows = [
        [width, *(f'{row[name]["mIoU"]:.1f}' if name in row else '' for name in sets)]
        for width, row in camvid.items()
    ]
    return table(['width', *sets], rows)


def checks(content: Mapping[str, Any]) -> bool:
    """Whether rules for mixing were chosen on other pictures than these."""
    return content.get('experiment', 'adapt_espnetv2_rates') != 'adapt_espnetv2_rates'


def mixing_table(content: Mapping[str, Any]) -> str:
    """Returns what each rule for the mixing of statistics gains."""
    rows, seen = [], set()
    for row in content['signals']:
        if row['setting'].removeprefix('margin ') in ('0.05', '0.15', '0.25'):
            continue
        first = row['signal'] not in seen
        seen.add(row['signal'])
        shown = [row, row['left_out']] if first else [row, {}]
        rows.append([
            row['signal'] if first else '', row['setting'],
            *(f'{one[key]:+.1f}' if one else ''
              for one in shown[:1 if checks(content) else 2]
              for key in ('mean_gain', 'worst')),
        ])  # fmt: skip
    head = ['share by', '', 'mIoU', 'worst domain']
    if not checks(content):
        head += ['width left out', 'its worst']
    return table(head, rows)


def rates_table(content: Mapping[str, Any]) -> str:
    """Returns the mean of each method of adaptation with each learning rate."""

    def mean(label: str) -> str:
        found = (content['runs'].get(label) or {}).get('mIoU')
        return format(found['mean'], '.2f') if found else '-'

    methods = content['methods'].values()
    rates = sorted({rate for one in methods for rate in one['learning_rates']})
    rows = []
    for order in content['orders']:
        for method in methods:
            label, tried = method['title'], method['learning_rates']
            label += f', {order}' if len(content['orders']) > 1 else ''
            found = [mean(f'{label}, lr {r:g}') if r in tried else '' for r in rates]
            rows.append([label, '' if tried else mean(label), *found])
    return table(['mIoU', 'does not learn', *(f'{rate:g}' for rate in rates)], rows)


def comparison_tables(content: Mapping[str, Any]) -> list[str]:
    """Returns the tables of methods of adaptation side by side."""
    from experiment_kit import comparison  # not beside docs/: `table` needs it not

    return [
        markdown(comparison.comparison_table(content, cells=False)),
        markdown(comparison.domain_table(content)),
        markdown(comparison.stability_table(content)),
        markdown(comparison.work_comparison(content)),
    ]


def template(name: str) -> Any:
    """Returns the macros of a file in docs/templates."""
    pages = Environment(
        loader=FileSystemLoader(HERE / 'templates'), undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    helpers = (
        table,
        columns,
        named,
        pairs,
        sized,
        size,
        leading_table,
        class_table,
        cost_table,
        mixing_table,
        checks,
        oracle_table,
        rates_table,
        comparison_tables,
    )
    pages.globals.update({helper.__name__: helper for helper in helpers})
    return pages.get_template(name).module


def benchmarks_text(folder: Path = RESULTS) -> str:
    """Returns the tables of all results in a folder."""
    files = sorted(folder.glob('*.json'))
    return '\n\n'.join(map(result_text, files)) or 'There are no results yet.'


def result_text(path: Path, *, brief: bool = False) -> str:
    """Returns the tables of one file of results; `brief` without those of classes."""
    content = json.loads(path.read_text(encoding='utf-8'))
    first = (content.get('results') or [content.get('result', {})])[0]
    kinds = [kind for key, kind in KINDS.items() if key in content or key in first]
    if not kinds:
        return f'## {path.stem}\n\nSee `benchmarks/results/{path.name}`.'
    if kinds[0] == 'experiment':
        return str(
            template('results.md.j2').experiment(content, classes=not brief)
        ).strip()
    return str(getattr(template('results.md.j2'), kinds[0])(content)).strip()


def experiment_text(content: Mapping[str, Any]) -> str:
    """Returns the results of what ``benchmarks/repeat.py`` wrote."""
    return str(template('results.md.j2').experiment(content, heading='###')).strip()


def means_text(paths: Sequence[Path]) -> str:
    """Returns the mean mIoU of each method of adaptation, a column a file."""
    grids = [json.loads(path.read_text(encoding='utf-8')) for path in paths]
    methods = dict.fromkeys(name for grid in grids for name in grid['runs'])
    header = ['mIoU', *(grid['title'].split(' from ')[0] for grid in grids)]
    rows = []
    for name in methods:
        found = [grid['runs'].get(name, {}).get('mIoU') for grid in grids]
        rows.append([name, *(f'{one["mean"]:.1f}' if one else '' for one in found)])
    return table(header, rows)


def share_text(path: Path) -> str:
    """Returns the configs that pass the check, a row a folder, and what fails."""
    content = json.loads(path.read_text(encoding='utf-8'))
    return str(template('results.md.j2').share_of_folders(content)).strip()
