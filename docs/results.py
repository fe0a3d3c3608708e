"""Tables of the files in benchmarks/results, for the page on benchmarks."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmkd_ext.evaluation.tables import markdown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

RESULTS = Path(__file__).resolve().parents[1] / 'benchmarks' / 'results'
CANNOT = 'mmseg_cannot_build'
RULES = {'l': ':--', 'c': ':-:', 'r': '--:'}


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
        | a | b |
        |:--|--:|
        | x\|y | 1 |
    """
    sides = sides.ljust(len(header), sides[-1])
    lines = [
        '| ' + ' | '.join(cell.replace('|', '\\|') for cell in line) + ' |'
        for line in (header, *rows)
    ]
    rule = '|' + '|'.join(RULES[side] for side in sides) + '|'
    return '\n'.join([lines[0], rule, *lines[1:]])


def columns(
    found: Iterable[Mapping[str, Any]], cells: Mapping[str, str], sides: str = 'lr'
) -> str:
    """Returns a table whose cells are formats of a row's values, by column."""
    rows = [[cell.format_map(row) for cell in cells.values()] for row in found]
    return table(list(cells), rows, sides)


def benchmarks_text(folder: Path = RESULTS) -> str:
    """Returns the tables of all results in a folder."""
    files = sorted(folder.glob('*.json'))
    return '\n\n'.join(map(result_text, files)) or 'There are no results yet.'


def result_text(path: Path) -> str:
    """Returns the tables of one file of results."""
    content = json.loads(path.read_text(encoding='utf-8'))
    rows = content.get('results') or [{}]
    if 'boxes' in content.get('result', {}):
        return _boxes(content)
    if 'folders' in content:
        return _share(content)
    if 'false_alarms_on_unchanged' in content:
        return _mutations(content)
    if 'oracle' in content:
        return _oracle(content)
    if 'signals' in content:
        return _mixing(content)
    if 'sets' in content:
        return experiment_text(content, level=2, classes=True)
    if 'orders' in content:
        return _grid(content)
    if 'dose_to_cotta' in content:
        return _adaptation_speed(content)
    for key, text in (('pair', _steps), ('loss', _losses), ('method', _methods)):
        if all(key in row for row in rows):
            return text(content)
    return f'## {path.stem}\n\nSee `benchmarks/results/{path.name}`.'


def command(content: Mapping[str, Any]) -> str:
    """Returns the command that wrote a file of results, as it is called today.

    Older files say ``tools/`` where these commands were then.
    """
    return str(content['command']).replace(' tools/', ' benchmarks/')


def _size(shape: Iterable[int]) -> str:
    return ' x '.join(map(str, shape))


def _environment(content: Mapping[str, Any]) -> str:
    about = content['environment']
    load = about.get('load_per_core', 0)
    shared = f'; a shared machine (load {load} a core)' if load > 1 else ''
    return (
        f'Commit `{about["commit"]}`, torch {about["versions"]["torch"]}, '
        f'{about["processor"]}, {about["threads"]} thread(s){shared}.'
    )


# ---- experiments ------------------------------------------------------------------


def experiment_text(
    content: Mapping[str, Any], level: int = 3, *, classes: bool = False
) -> str:
    """Returns the results of an experiment as Markdown.

    Args:
        content: What ``benchmarks/repeat.py`` wrote.
        level: Of the heading.
        classes: Whether a table of the IoU of each class follows.
    """
    machine, seeds = content['machine'], ', '.join(map(str, content['seeds']))
    parts = ['#' * level + f' {content["title"]}']
    for name, figures in content['sets'].items():
        lead = figures.get('lead', 'mIoU')
        others = _other_figures(figures, lead)
        rows = []
        for run, about in content['runs'].items():
            values, gain = figures['runs'][run], figures['gain'].get(run)
            more = {**values, **values.get('class AP', {})}
            each = '' if not gain else ', '.join(f'{v:+.2f}' for v in gain['values'])
            rows.append([about['title'], _spread(values[lead]),
                         *(_spread(more[other]) for other in others),
                         str(len(values[lead]['values'])), _gain(gain), each])
        header = ['', f'{lead} on {name}', *others, 'runs', 'gain', 'gain of each seed']
        parts.append(table(header, rows))
        parts += _class_text(content, figures) if classes else []
    parts += _cost_text(content)
    commit = re.sub(r'\b([0-9a-f]{12})[0-9a-f]+', r'\1', content['commit'])
    parts.append(
        f'Mean ± standard deviation over seeds {seeds}; the gain compares runs of the '
        f'same seed. `{command(content)}`, {content["date"]}, commit `{commit}`, '
        f'{machine.get("processor", "?")}, {machine.get("cores", "?")} cores.'
    )
    return '\n\n'.join(parts)


def _other_figures(figures: Mapping[str, Any], lead: str) -> list[str]:
    """Returns what else all runs have.

    Of a detection that is AP50 and the AP of classes, of a segmentation the mean
    without the classes that the experiment calls rare.
    """
    if lead != 'AP':
        name = 'without rare classes'
        return [name] if all(name in run for run in figures['runs'].values()) else []
    runs = [{**run, **run.get('class AP', {})} for run in figures['runs'].values()]
    names = dict.fromkeys(['AP50', *runs[0].get('class AP', {})])
    return [name for name in names if all(name in run for run in runs)]


def _class_text(content: Mapping[str, Any], figures: Mapping[str, Any]) -> list[str]:
    """Returns the table of the mean IoU of each class."""
    runs = figures['runs']
    names = list(next(iter(runs.values())).get('IoU', {}))
    rare = figures.get('rare', [])
    rows = [
        [about['title'], *(f'{runs[run]["IoU"][name]["mean"]:.1f}' for name in names)]
        for run, about in content['runs'].items()
        if all(name in runs[run].get('IoU', {}) for name in names)
    ]
    header = ['IoU', *(f'*{name}*' if name in rare else name for name in names)]
    return [table(header, rows)] if names else []


def _cost_text(content: Mapping[str, Any]) -> list[str]:
    """Returns the table of what distilling costs, where it was measured."""
    rows = []
    for about in content['runs'].values():
        step, share = about.get('step'), about.get('kd_share', {}).get('all')
        if not step or not share:
            continue
        ratio = f'{step["to_plain"]:.2f}' if 'to_plain' in step else ''
        rows.append([about['title'], f'{1000 * step["seconds"]:.0f}', ratio,
                     f'{share["first"]:.0f}', f'{share["mean"]:.0f}'])
    header = ['', 'ms a step', 'to the student alone', 'KD share at first, %',
              'KD share on average, %']
    return [table(header, rows)] if rows else []


def _gain(gain: Mapping[str, Any] | None) -> str:
    if not gain:
        return ''
    text = _spread(gain, '+.2f')
    return f'none ({text})' if gain.get('verdict') == 'none' else text


def _spread(summary: Mapping[str, Any], spec: str = '.2f') -> str:
    mean = format(summary['mean'], spec)
    return mean if summary['std'] is None else f'{mean} ± {summary["std"]:.2f}'


# ---- adaptation -------------------------------------------------------------------


def _mutations(content: Mapping[str, Any]) -> str:
    """Returns what the check said of changed configs that were also trained."""
    rows = [[judged, str(count)] for judged, count in content['counts'].items()]
    return '\n\n'.join(
        [
            '## Random changes of shipped configs',
            table(['the check and the training', 'changes'], rows, 'lr'),
            f'{content["changes"]} random one-key changes of ten shipped configs (seed '
            f'{content["seed"]}), each checked and then trained and validated; of the '
            f'unchanged ones {len(content["false_alarms_on_unchanged"])} were refused. '
            + _environment(content),
        ]
    )


def _oracle(content: Mapping[str, Any]) -> str:
    """Returns what ESPNetv2 of each width scores on CamVid without training."""
    camvid = content['camvid']
    sets = list(dict.fromkeys(name for row in camvid.values() for name in row))
    rows = [
        [width, *(f'{row[name]["mIoU"]:.1f}' if name in row else '' for name in sets)]
        for width, row in camvid.items()
    ]
    furthest = max(row['logits'] for row in content['oracle'].values())
    return '\n\n'.join(
        [
            '## ESPNetv2 from Cityscapes, judged on CamVid',
            table(['width', *sets], rows, 'l' + 'r' * len(sets)),
            "mIoU of the authors' weights without training, see [](projects.md). "
            f"Logits differ from the authors' network by at most {furthest:.1g}. "
            + _environment(content),
        ]
    )


def _mixing(content: Mapping[str, Any]) -> str:
    """Returns what each signal for the mixing of statistics would have gained."""
    rows = [
        [f'{row["mixing"]} for all' if row['mixing'] != 'best' else 'the best for each',
         '', '', f'{row["mean_gain"]:+.1f}', f'{row["worst"]:+.1f}']
        for row in content['fixed']
    ]  # fmt: skip
    rows += [
        [row['signal'].replace('_', ' '), ', '.join(map(str, row['candidates'])),
         str(row['margin']), f'{row["mean_gain"]:+.1f}', f'{row["worst"]:+.1f}']
        for row in content['signals']
        if row['margin'] in (0.0, 0.1, 0.2)
    ]  # fmt: skip
    header = ['share of the picture', 'candidates', 'margin', 'mIoU', 'worst domain']
    return '\n\n'.join(
        [
            "## The share of a picture's statistics, found without labels",
            table(header, rows, 'lllr'),
            "ESPNetv2 of four widths on pictures of CamVid's train; gains over the "
            "source's statistics, a mean over widths and domains. "
            + _environment(content),
        ]
    )


def _grid(content: Mapping[str, Any]) -> str:
    """Returns the tables of a grid of adaptations."""
    from experiment_kit import comparison  # not beside docs/: `table` needs it not

    parts = [f'## Adaptation: {content["title"][:1].lower()}{content["title"][1:]}']
    if content['best']:
        parts.append(_rates(content))
    else:
        parts += [
            markdown(comparison.comparison_table(content, cells=False)),
            markdown(comparison.domain_table(content)),
            markdown(comparison.stability_table(content)),
            markdown(comparison.work_comparison(content)),
        ]
    seeds = ', '.join(map(str, content['seeds']))
    parts.append(
        f'`{command(content)}`; seeds {seeds}, commit `{content["commit"]}`, torch '
        f'{content["versions"]["torch"]}. {content["note"]}'.rstrip()
    )
    return '\n\n'.join(parts)


def _rates(content: Mapping[str, Any]) -> str:
    """Returns the mean of each method with each learning rate."""
    methods = content['methods'].values()
    rates = sorted({rate for one in methods for rate in one['learning_rates']})
    rows = []
    for order in content['orders']:
        beside = f', {order}' if len(content['orders']) > 1 else ''
        for method in methods:
            label, tried = f'{method["title"]}{beside}', method['learning_rates']
            tables = [_mean(content, f'{label}, lr {r:g}') if r in tried else ''
                      for r in rates]
            rows.append([label, '' if tried else _mean(content, label), *tables])
    return table(['mIoU', 'does not learn', *(f'{rate:g}' for rate in rates)], rows)


def _mean(content: Mapping[str, Any], label: str) -> str:
    found = (content['runs'].get(label) or {}).get('mIoU')
    return format(found['mean'], '.2f') if found else '-'


def _adaptation_speed(content: Mapping[str, Any]) -> str:
    """Returns images a second of methods of adaptation beside their floors."""
    cells = {
        'method': '{name}',
        'images/s': '{images_per_second:.2f}',
        'forwards': '{forwards:.2f}',
        'backwards': '{backwards:.2f}',
        'x floor': '{to_floor[median]:.2f}',
        'quartiles': '{to_floor[q1]:.2f} to {to_floor[q3]:.2f}',
        'peak, MiB': '{peak_mb:.0f}',
        'peak of the floor, MiB': '{floor_peak_mb:.0f}',
    }
    rows = [dict(row, name=name) for name, row in content['methods'].items()]
    settings = content['settings']
    return (
        f'## Images a second of adaptation\n\n{columns(rows, cells)}\n\n'
        f'DeepLabV3+ with a ResNet-18 of width {settings["width"]}, images '
        f'{_size(settings["size"])}. The floor are the passes that a method makes, '
        'alone, see `benchmarks/bench_adapt.py`. DoSe has '
        '{median:.1f} ({q1:.1f} to {q3:.1f}) times the images a second of CoTTA with '
        '14 views. '.format_map(content['dose_to_cotta']) + _environment(content)
    )


# ---- time and memory --------------------------------------------------------------


def _steps(content: Mapping[str, Any]) -> str:
    cells = {
        '': '{job}',
        'median, ms': '{median_ms:.0f}',
        'quartiles': '{q1_ms:.0f} to {q3_ms:.0f}',
        'x floor': '{to_floor[median]:.3f}',
        'peak, MiB': '{peak_mib:.0f}',
    }
    parts = ['## Time and memory of a training step']
    for result in content['results']:
        rows = [dict(row, job=job) for job, row in result['rows'].items()]
        parts += [
            f'### {result["pair"]}, input {_size(result["input"])}',
            columns(rows, cells),
        ]
    parts.append(
        'The floor is the student\'s step plus the teacher\'s forward pass to its last '
        'tap. Times are processor time, rounds interleaved. ' + _environment(content)
    )
    return '\n\n'.join(parts)


def _losses(content: Mapping[str, Any]) -> str:
    rival = next(key for key in content['results'][0]['time'] if key != 'mmkd_ext')
    title = {
        'mmrazor': 'Time and memory of the losses, beside MMRazor',
        'direct': 'Relations between positions, beside their direct form',
        'dense': 'Relations between the pixels of a batch, beside whole matrices',
    }.get(rival, f'Time and memory of the losses, beside {rival}')
    cells = {
        'loss': '{loss}',
        'input': '{size}',
        'ours, ms': '{time[mmkd_ext][median_ms]:.1f}',
        f'{rival}, ms': f'{{time[{rival}][median_ms]:.1f}}',
        'ratio': '{time_ratio[median]:.2f}',
        'ours, MiB': '{peak_mib[mmkd_ext]:.1f}',
        f'{rival}, MiB': f'{{peak_mib[{rival}]:.1f}}',
    }
    limits = {
        'input': '{size}',
        'max_memory, MB': '{max_memory:.0f}',
        'peak, MiB': '{peak_mib:.0f}',
        'the input, MiB': '{features_mib:.0f}',
        'one whole matrix, MiB': '{matrix_mib:.0f}',
    }
    parts = [f'## {title}', columns(_sized(content['results']), cells)]
    if 'limits' in content:
        parts += ['Our peak follows `max_memory`, not the size of the map:',
                  columns(_sized(content['limits']), limits)]
    parts.append('Forward and backward pass. ' + _environment(content))
    return '\n\n'.join(parts)


def _sized(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [dict(row, size=_size(row['shape'])) for row in rows]


def _methods(content: Mapping[str, Any]) -> str:
    segmentation = content.get('task') == 'mmseg'
    parts = all('parts_to_floor' in row for row in content['results'])
    cells = {
        'method': '{method}',
        'family': '{family}',
        'x floor': '{to_floor[median]:.3f}',
        **({'parts x floor': '{parts_to_floor[median]:.3f}'} if parts else {}),
        'x student alone': '{to_student[median]:.2f}',
        'own parameters': '{own_parameters:,}',
        'peak, MiB': '{peak_mib[step]:.0f}',
        'peak of the student alone, MiB': '{peak_mib[student]:.0f}',
    }
    about_parts = (
        'The parts are student, teacher, and what the links make of recorded features '
        'alone, so that the noise of the models is not taken for a cost. '
    )
    roi = (
        "; for RoI heads it leaves out the teacher's RoI head on the student's "
        'proposals, which is what those methods cost. '
    )
    return (
        f'## What each {"segmentation" if segmentation else "detection"} method adds '
        f'to a step\n\n{columns(content["results"], cells, "llr")}\n\n'
        f'R50 teaches R18, input {_size(content["results"][0]["input"])}, links as '
        "shipped. The floor is the student's step, the teacher's forward pass to its "
        'last tap, and the layers with weights that the method itself brings, forward '
        'and backward' + ('. ' if segmentation else roi)
        + (about_parts if parts else '') + _environment(content)
    )


def _boxes(content: Mapping[str, Any]) -> str:
    found = content['result']
    return (
        f'## What boxes cost FGD\n\nIts loss with {found["boxes"]} boxes takes '
        f'{found["time_ratio"]["median"]:.2f} of the time with one, forward and '
        f'backward, P3 to P7 of a {_size(found["input"])} input. '
        + _environment(content)
    )


def _share(content: Mapping[str, Any]) -> str:
    """Returns how many configs of a package pass the check without an edit."""
    total = content['total']
    package, page = 'mmseg', 'segmentors'
    if 'with_neck' in total:
        package, page = 'mmdet', 'detectors'
    return (
        f'## Configs of {package} that pass the check\n\n{total["pass"]} of '
        f'{total["buildable"]} that {package} itself builds pass with CWD and no other '
        f'edit, and {total["step_runs"]} step forward and backward; see '
        f'[](methods/{page}.md).'
    )


def share_text(path: Path) -> str:
    """Returns the table of such configs, a row a folder, and what fails."""
    content = json.loads(path.read_text(encoding='utf-8'))
    folders = content['folders'].values()
    kind = 'with_neck' if 'with_neck' in content['total'] else 'models'
    cells = {
        'folder': '{name}',
        'buildable': '{buildable}',
        kind.replace('_', ' a '): f'{{{kind}}}',
        'pass': '{pass}',
        'a step runs': '{step_runs}',
    }
    rows = {**content['folders'], 'all': content['total']}
    notes = [
        f'`{row["config"]}`: {"; ".join(row["problems"]) or row["step"]}.'
        for folder in folders for row in folder['failures']
    ] + [
        f'`{name}` is not counted: the package cannot build it ({why}).'
        for folder in folders for name, why in folder.get(CANNOT, {}).items()
    ]
    text = columns([dict(row, name=name) for name, row in rows.items()], cells)
    versions = content['environment']['versions'].items()
    stack = ', '.join(f'{name} {version}' for name, version in versions)
    return '\n\n'.join([text, *notes, f'Measured with {stack}.'])
