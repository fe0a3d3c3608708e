"""Sphinx extension: fills in what pages do not say themselves.

``<!-- modules: mmkd_ext.engine -->`` becomes the reference of every public module of a
package, ``<!-- benchmarks -->`` the tables of what lies in benchmarks/results. So no
page lists modules, and no figure is typed by hand.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from method_table import command, experiment_text, table

from experiment_kit.comparison import (
    comparison_table,
    domain_table,
    stability_table,
    work_comparison,
)
from mmkd_ext.evaluation.tables import markdown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sphinx.application import Sphinx

RESULTS = Path(__file__).resolve().parents[1] / 'benchmarks' / 'results'
MODULES = re.compile(r'^<!-- modules: (\S+) -->$', re.MULTILINE)
BENCHMARKS = '<!-- benchmarks -->'
INNER = ('compute', 'compute_losses', 'extra_repr', 'forward', 'init_weights', 'train')
OWN_PAGE = 'mmkd_ext.methods'  # each of its modules has a page under methods/


def modules_text(package: str) -> str:
    """Returns the reference of a package and of all its public modules."""
    parts = [_automodule(package, members=False)]
    path = importlib.import_module(package).__path__
    for module in pkgutil.walk_packages(path, f'{package}.'):
        name = module.name
        private = any(word.startswith('_') for word in name.split('.'))
        if private or package == OWN_PAGE:
            continue
        if not hasattr(importlib.import_module(name), '__all__'):
            continue  # a part of its package, which has the door
        parts.append(f'## `{name}`\n\n{_automodule(name, members=not module.ispkg)}')
    return '\n\n'.join(parts)


def _automodule(name: str, *, members: bool) -> str:
    option = '\n   :members:' if members else ''
    return f'```{{eval-rst}}\n.. automodule:: {name}{option}\n```'


def benchmarks_text(folder: Path = RESULTS) -> str:
    """Returns the tables of all results in a folder."""
    files = sorted(folder.glob('*.json'))
    if not files:
        return 'There are no results yet.'
    return '\n\n'.join(_result_text(path) for path in files)


def _result_text(path: Path) -> str:
    content = json.loads(path.read_text(encoding='utf-8'))
    if 'boxes' in content.get('result', {}):
        found = content['result']
        return (
            f'## What boxes cost FGD\n\nIts loss with {found["boxes"]} boxes takes '
            f'{found["time_ratio"]["median"]:.2f} of the time with one, forward and '
            'backward, P3 to P7 of a '
            f'{" x ".join(map(str, found["input"]))} input. ' + _environment(content)
        )
    if 'folders' in content:
        return _share(content)
    if 'oracle' in content:
        return _oracle(content)
    if 'sets' in content:
        return experiment_text(content, level=2, classes=True)
    if 'orders' in content:
        return _grid(content)
    if 'methods' in content and 'dose_to_cotta' in content:
        return _adaptation_speed(content)
    rows = content.get('results') or []
    if rows and all('pair' in row for row in rows):
        return _steps(content)
    if rows and all('loss' in row for row in rows):
        return _losses(content)
    if rows and all('method' in row for row in rows):
        return _methods(content)
    return f'## {path.stem}\n\nSee `benchmarks/results/{path.name}`.'


def _share(content: Mapping[str, Any]) -> str:
    """Returns how many configs of a package pass the check without an edit."""
    total = content['total']
    passing = f'{total["pass"]} of {total["buildable"]} that'
    if 'with_neck' in total:
        return (
            '## Configs of mmdet that pass the check\n\n'
            f'{passing} mmdet itself builds pass with CWD on the neck and no other '
            'edit, the others have no neck; see [](methods/detectors.md).'
        )
    return (
        '## Cityscapes configs of mmseg that pass the check\n\n'
        f'{passing} mmseg itself builds pass as students with CWD on the logits, '
        f'taught by Fast-SCNN, and {total["step_runs"]} step forward and backward, on '
        f'noise. They are {total["models"]} different models: configs that differ in '
        'crop, test settings or first weights were run once. See '
        '[](methods/segmentors.md).'
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


def _grid(content: Mapping[str, Any]) -> str:
    """Returns the tables of a grid of adaptations."""
    parts = [f'## Adaptation: {content["title"][:1].lower()}{content["title"][1:]}']
    if content['best']:
        parts.append(_rates(content))
    else:
        parts += [
            markdown(comparison_table(content, cells=False)),
            markdown(domain_table(content)),
            markdown(stability_table(content)),
            markdown(work_comparison(content)),
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
            label = f'{method["title"]}{beside}'
            tried = method['learning_rates']
            rows.append([
                label,
                '' if tried else _mean(content, label),
                *(
                    _mean(content, f'{label}, lr {rate:g}') if rate in tried else ''
                    for rate in rates
                ),
            ])
    header = ['mIoU', 'does not learn', *(f'{rate:g}' for rate in rates)]
    return table(header, rows, 'l' + 'r' * (len(rates) + 1))


def _mean(content: Mapping[str, Any], label: str) -> str:
    found = (content['runs'].get(label) or {}).get('mIoU')
    return format(found['mean'], '.2f') if found else '-'


def _adaptation_speed(content: Mapping[str, Any]) -> str:
    """Returns images a second of methods of adaptation beside their floors."""
    rows = [
        [
            name,
            f'{row["images_per_second"]:.2f}',
            f'{row["forwards"]:.2f}',
            f'{row["backwards"]:.2f}',
            f'{row["to_floor"]["median"]:.2f}',
            f'{row["to_floor"]["q1"]:.2f} to {row["to_floor"]["q3"]:.2f}',
            f'{row["peak_mb"]:.0f}',
            f'{row["floor_peak_mb"]:.0f}',
        ]
        for name, row in content['methods'].items()
    ]
    header = ['method', 'images/s', 'forwards', 'backwards', 'x floor', 'quartiles',
              'peak, MiB', 'peak of the floor, MiB']
    settings, ahead = content['settings'], content['dose_to_cotta']
    size = ' x '.join(map(str, settings['size']))
    return '\n\n'.join(
        [
            '## Images a second of adaptation',
            table(header, rows, 'lrrrrrrr'),
            f'DeepLabV3+ with a ResNet-18 of width {settings["width"]}, images {size}. '
            'The floor are the passes that a method makes, alone, see '
            '`benchmarks/bench_adapt.py`. DoSe has '
            f'{ahead["median"]:.1f} ({ahead["q1"]:.1f} to {ahead["q3"]:.1f}) times the '
            'images a second of CoTTA with 14 views. ' + _environment(content),
        ]
    )


def _steps(content: Mapping[str, Any]) -> str:
    parts = ['## Time and memory of a training step']
    for result in content['results']:
        rows = [
            [
                job,
                f'{row["median_ms"]:.0f}',
                f'{row["q1_ms"]:.0f} to {row["q3_ms"]:.0f}',
                f'{row["to_floor"]["median"]:.3f}',
                f'{row["peak_mib"]:.0f}',
            ]
            for job, row in result['rows'].items()
        ]
        header = ['', 'median, ms', 'quartiles', 'x floor', 'peak, MiB']
        shape = ' x '.join(map(str, result['input']))
        parts += [
            f'### {result["pair"]}, input {shape}',
            table(header, rows, 'lrrrr'),
        ]
    parts.append(
        'The floor is the student\'s step plus the teacher\'s forward pass to its last '
        'tap. Times are processor time, rounds interleaved. ' + _environment(content)
    )
    return '\n\n'.join(parts)


def _losses(content: Mapping[str, Any]) -> str:
    rival = next(key for key in content['results'][0]['time'] if key != 'mmkd_ext')
    both = ('mmkd_ext', rival)
    rows = [
        [
            row['loss'],
            ' x '.join(map(str, row['shape'])),
            *(f'{row["time"][key]["median_ms"]:.1f}' for key in both),
            f'{row["time_ratio"]["median"]:.2f}',
            *(f'{row["peak_mib"][key]:.1f}' for key in both),
        ]
        for row in content['results']
    ]
    header = ['loss', 'input', 'ours, ms', f'{rival}, ms', 'ratio', 'ours, MiB',
              f'{rival}, MiB']
    about = {
        'mmrazor': 'Time and memory of the losses, beside MMRazor',
        'direct': 'Relations between positions, beside their direct form',
        'dense': 'Relations between the pixels of a batch, beside whole matrices',
    }
    parts = [
        f'## {about.get(rival, f"Time and memory of the losses, beside {rival}")}',
        table(header, rows, 'lrrrrrr'),
    ]
    if 'limits' in content:
        parts += ['Our peak follows `max_memory`, not the size of the map:',
                  _limits(content['limits'])]
    parts.append('Forward and backward pass. ' + _environment(content))
    return '\n\n'.join(parts)


def _limits(limits: list[Mapping[str, Any]]) -> str:
    rows = [
        [
            ' x '.join(map(str, row['shape'])),
            *(f'{row[key]:.0f}' for key in (
                'max_memory', 'peak_mib', 'features_mib', 'matrix_mib')),
        ]
        for row in limits
    ]
    header = ['input', 'max_memory, MB', 'peak, MiB', 'the input, MiB',
              'one whole matrix, MiB']
    return table(header, rows, 'lrrrr')


def _methods(content: Mapping[str, Any]) -> str:
    parts = all('parts_to_floor' in row for row in content['results'])
    rows = [
        [
            row['method'],
            row['family'],
            f'{row["to_floor"]["median"]:.3f}',
            *([f'{row["parts_to_floor"]["median"]:.3f}'] if parts else []),
            f'{row["to_student"]["median"]:.2f}',
            f'{row["own_parameters"]:,}',
            *(f'{row["peak_mib"][key]:.0f}' for key in ('step', 'student')),
        ]
        for row in content['results']
    ]
    header = ['method', 'family', 'x floor', *['parts x floor'] * parts,
              'x student alone', 'own parameters', 'peak, MiB',
              'peak of the student alone, MiB']
    shape = ' x '.join(map(str, content['results'][0]['input']))
    segmentation = content.get('task') == 'mmseg'
    about_parts = (
        'The parts are student, teacher, and what the links make of recorded features '
        'alone, so that the noise of the models is not taken for a cost. '
    )
    roi = (
        "for RoI heads it leaves out the teacher's RoI head on the student's "
        'proposals, which is what those methods cost. '
    )
    return '\n\n'.join(
        [
            f'## What each {"segmentation" if segmentation else "detection"} method '
            'adds to a step',
            table(header, rows, 'll' + 'r' * (len(header) - 2)),
            f'R50 teaches R18, input {shape}, links as shipped. The floor is the '
            "student's step, the teacher's forward pass to its last tap, and the "
            'layers with weights that the method itself brings, forward and backward'
            + ('. ' if segmentation else f'; {roi}')
            + (about_parts if parts else '')
            + _environment(content),
        ]
    )


def _environment(content: Mapping[str, Any]) -> str:
    about = content['environment']
    load = about.get('load_per_core', 0)
    return (
        f'Commit `{about["commit"]}`, torch {about["versions"]["torch"]}, '
        f'{about["processor"]}, {about["threads"]} thread(s)'
        + (f'; a shared machine (load {load} a core).' if load > 1 else '.')
    )


def expand(app: Sphinx, docname: str, source: list[str]) -> None:
    """Replaces the marks of one page."""
    text = MODULES.sub(lambda found: modules_text(found[1]), source[0])
    if BENCHMARKS in text:
        for path in RESULTS.glob('*.json'):
            app.env.note_dependency(str(path))
        text = text.replace(BENCHMARKS, benchmarks_text())
    source[0] = text


def skip(
    app: Sphinx, what: str, name: str, obj: Any, skipped: bool, options: Any
) -> bool | None:
    """Leaves out what a reader does not call: fields of tuples, inner methods."""
    field = type(obj).__name__ == '_tuplegetter'
    return True if field or (what == 'class' and name in INNER) else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Registers the extension."""
    app.connect('source-read', expand)
    app.connect('autodoc-skip-member', skip)
    return {'parallel_read_safe': True}
