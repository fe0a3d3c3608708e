"""The report of `make demo`: one seed of an experiment, with curves and pictures."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmkd_ext.errors import DataError
from mmkd_ext.evaluation.cost import Cost, segmentor_cost
from mmkd_ext.evaluation.experiment import Experiment, Outcome
from mmkd_ext.evaluation.machine import describe_machine, versions
from mmkd_ext.evaluation.pictures import (
    BROKEN,
    MENDED,
    bar_figure,
    colourise,
    compare,
    curves_figure,
    mended_map,
    png,
)
from mmkd_ext.evaluation.report import (
    Gallery,
    Heading,
    Legend,
    Note,
    Part,
    Picture,
    write_report,
)
from mmkd_ext.evaluation.runs import class_ious, curve, read_scalars
from mmkd_ext.evaluation.tables import Table

if TYPE_CHECKING:
    from mmengine.config import Config

__all__ = ['costs', 'make_report', 'result_table', 'verdict']

COLOURS = ('#4c5661', '#d9822b', '#1b9e4b', '#3b76c4', '#8e5bb5')


def costs(experiment: Experiment, size: tuple[int, int]) -> dict[str, Cost]:
    """Returns the cost of the model of each run; a distilled student is a student.

    Models that are equal are measured once, so their figures cannot differ by noise.
    """
    from mmengine.config import Config

    found: dict[str, Cost] = {}
    measured: list[tuple[Any, Cost]] = []
    for run in experiment.runs:
        model = Config.fromfile(run.config).model
        model = model.get('architecture', model).to_dict()
        cost = next((cost for known, cost in measured if known == model), None)
        if cost is None:
            cost = segmentor_cost(model, size)
            measured.append((model, cost))
        found[run.name] = cost
    return found


def result_table(
    experiment: Experiment, outcomes: Sequence[Outcome], found: Mapping[str, Cost]
) -> Table:
    """Returns what the demo prints: a row a run, the distilled one set in bold."""
    name = next(iter(experiment.tests))
    rows = []
    for outcome in outcomes:
        cost = found[outcome.run.name]
        rows.append(
            [
                outcome.run.title,
                f'{float(outcome.metrics[name]["mIoU"]):.2f}',
                f'{cost.parameters / 1e6:.2f} M',
                f'{cost.flops / 1e6:.0f} M',
                f'{cost.images_per_second:.0f}',
                f'{outcome.seconds:.0f} s',
            ]
        )
    bold = [i for i, outcome in enumerate(outcomes) if outcome.run.teacher]
    return Table(
        ['', 'mIoU', 'parameters', 'FLOPs', 'images/s', 'trained in'],
        rows,
        title=experiment.title,
        bold=bold[0] if bold else None,
    )


def verdict(experiment: Experiment, outcomes: Sequence[Outcome]) -> str:
    """Returns what came out, in one or two sentences, whatever it is."""
    name = next(iter(experiment.tests))
    values = {o.run.name: float(o.metrics[name]['mIoU']) for o in outcomes}
    plain, distilled = _twins(experiment)
    teacher = distilled.teacher or ''
    gain = values[distilled.name] - values[plain.name]
    lead = values[teacher] - values[plain.name]
    text = (
        f'Distillation changed the student by {gain:+.2f} mIoU; its teacher leads it '
        f'by {lead:.2f}.'
    )
    if gain <= 0:
        text += ' It did not help with this seed.'
    return text + (
        ' One seed tells little: `benchmarks/results/` holds the repetition over '
        'several.'
    )


def make_report(
    experiment: Experiment,
    outcomes: Sequence[Outcome],
    folder: Path,
    found: Mapping[str, Cost],
    *,
    seed: int,
    images: int = 4,
) -> tuple[Path, Path]:
    """Writes ``report.html`` and ``report.md`` into ``folder``.

    Args:
        experiment: What was done.
        outcomes: What became of it.
        folder: Where to.
        found: What the models cost.
        seed: The seed of the runs.
        images: So many pictures are shown, at equal distances in the test set.

    Returns:
        The paths of the HTML and of the Markdown file.
    """
    from mmengine.config import Config

    table = result_table(experiment, outcomes, found)
    size = next(iter(found.values())).size
    plain, distilled = _twins(experiment)
    config = Config.fromfile(plain.config)
    dataset = _test_set(config, experiment)
    parts: list[Part] = [
        Note(verdict(experiment, outcomes)),
        Table(table.header, table.rows, bold=table.bold),
        Note(
            f'Seed {seed}. mIoU in percent on {len(dataset)} test pictures. FLOPs and '
            f'images a second at {size[0]} x {size[1]}, one picture at a time, on the '
            f'CPU. {_machine()}'
        ),
        Heading('Curves'),
        Picture(
            'curves',
            _curves(outcomes),
            'Losses on the training data (means of the last iterations) and mIoU on a '
            'part of the test pictures while training. The loss of the distilled '
            'student is its task loss; what distillation adds stands beside it.',
        ),
        Heading('Classes'),
        *_class_parts(experiment, outcomes),
        Heading('Pictures'),
        Note(
            f'{images} of {len(dataset)} test pictures, taken at equal distances, not '
            f'chosen. The last column compares `{plain.title}` with '
            f'`{distilled.title}`: green pixels were wrong and are right, red ones '
            'were right and are wrong, the rest is the same.'
        ),
        *_gallery(experiment, outcomes, dataset, images),
        Heading('How to get the same'),
        Note(
            'Every step was one call of `tools/train.py` or `tools/test.py`; the '
            'first line of each log gives it:'
        ),
        *(
            Note(f'{outcome.run.title}: `{outcome.run.config}`, log '
                 f'`{outcome.folder / "train.log"}`')
            for outcome in outcomes
        ),
    ]
    return write_report(folder, experiment.title, parts)


def _twins(experiment: Experiment) -> tuple[Any, Any]:
    """Returns the plain student and the distilled one."""
    distilled = [run for run in experiment.runs if run.teacher]
    plain = [run for run in experiment.runs if not run.teacher and not run.once]
    if len(distilled) != 1 or len(plain) != 1:
        raise DataError(
            f'A report needs one plain and one distilled student, but '
            f'{experiment.source!r} has {len(plain)} and {len(distilled)}. Mark the '
            'teacher with `once=True`.'
        )
    return plain[0], distilled[0]


def _test_set(config: Config, experiment: Experiment) -> Any:
    from mmengine.config import Config
    from mmengine.registry import DATASETS, init_default_scope

    init_default_scope(config.get('default_scope', 'mmseg'))
    name = next(iter(experiment.tests))
    options = {**experiment.options, **experiment.tests[name]}
    chosen = Config(config.to_dict())
    chosen.merge_from_dict(dict(options))
    return DATASETS.build(chosen.test_dataloader.dataset)


def _machine() -> str:
    machine, stack = describe_machine(), versions()
    return (
        f'{machine["processor"]}, {machine["cores"]} cores; torch '
        f'{stack.get("torch", "?")}, mmcv {stack.get("mmcv", "?")}; '
        f'{time.strftime("%Y-%m-%d", time.gmtime())}.'
    )


def _colours(outcomes: Sequence[Outcome]) -> dict[str, str]:
    return {o.run.title: colour for o, colour in zip(outcomes, COLOURS)}


def _curves(outcomes: Sequence[Outcome]) -> bytes:
    panels: dict[str, dict[str, Any]] = {
        'task loss': {},
        'distillation loss': {},
        'mIoU while training': {},
    }
    keys = ('task_loss', 'distill_loss', 'mIoU')
    for outcome in outcomes:
        records = read_scalars(outcome.folder)
        for curves, key in zip(panels.values(), keys):
            steps, values = curve(records, key)
            if steps:
                curves[outcome.run.title] = (steps, values)
    return curves_figure(panels, _colours(outcomes))


def _class_parts(experiment: Experiment, outcomes: Sequence[Outcome]) -> list[Part]:
    name = next(iter(experiment.tests))
    plain, distilled = _twins(experiment)
    ious = {o.run.name: class_ious(o.metrics[name]) for o in outcomes}
    classes = list(dict.fromkeys(c for found in ious.values() for c in found))
    rows = []
    for label in classes:
        cells = [
            f'{ious[o.run.name][label]:.1f}' if label in ious[o.run.name] else '-'
            for o in outcomes
        ]
        before, after = (ious[run.name].get(label) for run in (plain, distilled))
        gain = '-'
        if before is not None and after is not None:
            gain = f'{after - before:+.1f}'
        rows.append([label, *cells, gain])
    header = ['IoU', *(o.run.title for o in outcomes), 'gain']
    bars = {
        o.run.title: [ious[o.run.name].get(label) for label in classes]
        for o in outcomes
    }
    return [
        Picture(
            'classes',
            bar_figure(classes, bars, _colours(outcomes), label='IoU, %'),
            'IoU of each class on the test pictures.',
        ),
        Table(header, rows),
    ]


def _gallery(
    experiment: Experiment, outcomes: Sequence[Outcome], dataset: Any, images: int
) -> list[Part]:
    import numpy as np
    from PIL import Image

    name = next(iter(experiment.tests))
    plain, distilled = _twins(experiment)
    order = [plain.name, distilled.name]
    order += [o.run.name for o in outcomes if o.run.name not in order]
    by_name = {o.run.name: o for o in outcomes}
    palette = dataset.metainfo['palette']
    rows = []
    for index in spaced(len(dataset), images):
        info = dataset.get_data_info(index)
        stem = Path(info['img_path']).stem
        image = np.asarray(Image.open(info['img_path']).convert('RGB'))
        truth = np.asarray(Image.open(info['seg_map_path']))
        guess = {
            run: np.asarray(Image.open(_prediction(by_name[run], name, stem)))
            for run in order
        }
        change = compare(guess[plain.name], guess[distilled.name], truth)
        mended, broken = change.shares
        row = [
            Picture(f'{stem}-input', png(image), 'input'),
            Picture(f'{stem}-truth', png(colourise(truth, palette)), 'ground truth'),
            *(
                Picture(
                    f'{stem}-{run}',
                    png(colourise(guess[run], palette)),
                    f'{_right(guess[run], truth):.1f} % right',
                )
                for run in order
            ),
            Picture(
                f'{stem}-change',
                png(mended_map(image, change)),
                f'{mended:.1f} % mended, {broken:.1f} % broken',
            ),
        ]
        rows.append((stem, row))
    titles = [by_name[run].run.title for run in order]
    classes = list(zip(dataset.metainfo['classes'], palette))
    return [
        Gallery(['input', 'ground truth', *titles, 'mended / broken'], rows),
        Legend([*classes, ('no truth', (0, 0, 0))]),
        Legend([('mended', MENDED), ('broken', BROKEN)]),
    ]


def _prediction(outcome: Outcome, name: str, stem: str) -> Path:
    path = outcome.folder / f'test_{name}' / 'predictions' / f'{stem}.png'
    if not path.is_file():
        raise DataError(
            f'No prediction {str(path)!r}. Run again with `--fresh`, so that the test '
            'writes it.'
        )
    return path


def _right(guess: Any, truth: Any) -> float:
    valid = truth != 255
    return 100.0 * float((guess == truth)[valid].mean()) if valid.any() else 0.0


def spaced(length: int, count: int) -> list[int]:
    """Returns ``count`` indices at equal distances below ``length``.

    Examples:
        >>> spaced(64, 4)
        [8, 24, 40, 56]
    """
    count = min(count, length)
    return [(2 * i + 1) * length // (2 * count) for i in range(count)]
