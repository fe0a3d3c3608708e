"""A report that compares trained models: table, curves, classes, images.

For a distilled student, the same student alone and their teacher, as `make demo` trains
them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pandas import DataFrame

from experiment_kit.logs import Figures, curve, figures, read_scalars
from mmkd_ext.errors import DataError, ShapeError
from mmkd_ext.evaluation import figures as drawing
from mmkd_ext.evaluation.report import write_report
from mmkd_ext.evaluation.tables import number, text_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    'TrainedModel',
    'change_text',
    'fixed_pixels',
    'result_table',
    'write_training_report',
]

FIXED, BROKEN = (27, 158, 75), (214, 39, 40)
IGNORED = 255


@dataclass(frozen=True)
class TrainedModel:
    """A model that was trained and tested.

    Args:
        title: What tables call it.
        config: Path of its config.
        work_dir: Where it was trained.
        metrics: Figures of its test.
        seconds: Training took so long.
        costs: What it costs: name of a column of tables to text.
        predictions: Folder of its predicted class maps, PNG files, if they were kept.
    """

    title: str
    config: str
    work_dir: Path
    metrics: Mapping[str, Any]
    seconds: float
    costs: Mapping[str, str] = field(default_factory=dict)
    predictions: Path | None = None

    @property
    def figures(self) -> Figures:
        """The figures of the test as tables name them."""
        return figures(dict(self.metrics))

    @property
    def score(self) -> float:
        """The figure that tables lead with, in percent."""
        return self.figures.values[self.figures.lead]


def result_table(models: Sequence[TrainedModel], distilled: TrainedModel) -> DataFrame:
    """Returns a row a model: score and cost, the distilled one set in bold."""
    columns = list(dict.fromkeys(name for model in models for name in model.costs))
    rows = [
        [
            model.title,
            f'{model.score:.2f}',
            *(model.costs.get(name, '-') for name in columns),
            f'{model.seconds:.0f} s',
        ]
        for model in models
    ]
    header = ['', distilled.figures.lead, *columns, 'trained in']
    return text_table(header, rows, bold=list(models).index(distilled))


def change_text(
    plain: TrainedModel, distilled: TrainedModel, teacher: TrainedModel
) -> str:
    """Returns what distillation changed, in one or two sentences, whatever it is."""
    gain, lead = distilled.score - plain.score, teacher.score - plain.score
    text = (
        f'Distillation changed the student by {gain:+.2f} {plain.figures.lead}; its '
        f'teacher leads it by {lead:.2f}.'
    )
    if gain <= 0:
        return f'{text} It did not help with this seed.'
    return f'{text} One seed tells little: repeat it with several.'


def write_training_report(
    folder: str | Path,
    *,
    title: str,
    plain: TrainedModel,
    distilled: TrainedModel,
    teacher: TrainedModel,
    dataset: Any = None,
    images: int = 4,
    about: str = '',
) -> tuple[Path, Path]:
    """Writes ``report.html`` and ``report.md``.

    Args:
        folder: Where to.
        title: Heading of the report.
        plain: The student alone.
        distilled: The same student with a teacher.
        teacher: Its teacher.
        dataset: The test set of a segmentation, to show pictures of; all three models
            need their ``predictions`` then.
        images: So many pictures are shown, at equal distances in the test set.
        about: What a reader should know of the figures: data, seed, machine.

    Returns:
        The paths of the HTML and of the Markdown file.
    """
    models = (teacher, plain, distilled)
    names = drawing.colours(model.title for model in models)
    drawn = {'curves': _curves(models, names)}
    classes = _class_table(models, plain, distilled)
    if len(classes):
        values = {
            m.title: [m.figures.classes.get(label) for label in classes.iloc[:, 0]]
            for m in models
        }
        drawn['classes'] = drawing.bars(
            list(classes.iloc[:, 0]),
            values,
            label=f'{distilled.figures.of_classes}, %',
            names=names,
        )
    if dataset is not None:
        drawn['pictures'] = _pictures(plain, distilled, teacher, dataset, images)
    return write_report(
        folder,
        Path(__file__).parent / 'templates' / 'training.md.j2',
        title=title,
        figures=drawn,
        change=change_text(plain, distilled, teacher),
        results=result_table(models, distilled),
        classes=classes,
        about=about,
        models=models,
        plain=plain.title,
        distilled=distilled.title,
        lead=distilled.figures.lead,
        shown=images,
        total=0 if dataset is None else len(dataset),
    )


def _curves(models: Sequence[TrainedModel], names: Mapping[str, str]) -> bytes:
    lead = models[0].figures.lead
    logged = {'mIoU': 'mIoU', 'AP': 'coco/bbox_mAP'}.get(lead, lead)
    panels: dict[str, dict[str, Any]] = {
        'task loss': {},
        'distillation loss': {},
        f'{lead} while training': {},
    }
    for model in models:
        scalars = read_scalars(model.work_dir)
        for curves, key in zip(panels.values(), ('task_loss', 'distill_loss', logged)):
            values = curve(scalars, key)
            if len(values):
                curves[model.title] = (list(values.index), list(values))
    shown = {title: curves for title, curves in panels.items() if curves}
    return drawing.lines(shown, xlabel='iteration', names=names)


def _class_table(
    models: Sequence[TrainedModel], plain: TrainedModel, distilled: TrainedModel
) -> DataFrame:
    found = DataFrame({m.title: m.figures.classes for m in models}, dtype=float)
    gains = found[distilled.title] - found[plain.title]
    rows = [
        [label, *map(number, values), number(gains[label], sign=True)]
        for label, values in zip(found.index, found.to_numpy())
    ]
    return text_table([distilled.figures.of_classes, *found.columns, 'gain'], rows)


def fixed_pixels(
    before: NDArray[Any], after: NDArray[Any], truth: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Returns where only ``after`` is right, and where only ``before`` is.

    Args:
        before: Class of each pixel ``(h w)``.
        after: Likewise.
        truth: Likewise; pixels of class 255 count for nothing.

    Returns:
        Fixed and broken pixels, ``(h w)`` each.

    Raises:
        ShapeError: The three differ in size.
    """
    if not before.shape == after.shape == truth.shape:
        raise ShapeError(
            f'Class maps of different sizes: before {before.shape}, after '
            f'{after.shape}, truth {truth.shape}. Predict at the size of the truth.'
        )
    valid, was, now = truth != IGNORED, before == truth, after == truth
    return valid & ~was & now, valid & was & ~now


def _pictures(
    plain: TrainedModel,
    distilled: TrainedModel,
    teacher: TrainedModel,
    dataset: Any,
    images: int,
) -> bytes:
    """Draws input, truth, the three predictions, and what distillation changed."""
    import numpy as np

    palette = np.zeros((256, 3), np.uint8)
    palette[: len(dataset.metainfo['palette'])] = dataset.metainfo['palette']
    rows = {}
    count = min(images, len(dataset))
    for i in range(count):
        info = dataset.get_data_info((2 * i + 1) * len(dataset) // (2 * count))
        stem = Path(info['img_path']).stem
        image, truth = _read(info['img_path'], 'RGB'), _read(info['seg_map_path'])
        guesses = [_prediction(model, stem) for model in (plain, distilled, teacher)]
        fixed, broken = fixed_pixels(guesses[0], guesses[1], truth)
        change = (0.45 * image.mean(-1, keepdims=True) + 130).repeat(3, -1)
        change[fixed], change[broken] = FIXED, BROKEN
        valid = max(int((truth != IGNORED).sum()), 1)
        right = [int((guess == truth).sum()) for guess in guesses]
        rows[stem] = [
            (image, ''),
            (palette[truth], ''),
            *(
                (palette[guess], f'{100 * good / valid:.1f} % right')
                for guess, good in zip(guesses, right)
            ),
            (
                change.clip(0, 255).astype(np.uint8),
                f'{100 * fixed.sum() / valid:.1f} % fixed, '
                f'{100 * broken.sum() / valid:.1f} % broken',
            ),
        ]
    titles = [model.title for model in (plain, distilled, teacher)]
    names = zip(dataset.metainfo['classes'], dataset.metainfo['palette'])
    entries = {**dict(names), 'no truth': (0, 0, 0), 'fixed': FIXED, 'broken': BROKEN}
    return drawing.image_grid(
        ['input', 'ground truth', *titles, 'fixed and broken'],
        rows,
        {name: [value / 255 for value in colour] for name, colour in entries.items()},
    )


def _read(path: str | Path, mode: str | None = None) -> NDArray[Any]:
    import numpy as np
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image.convert(mode) if mode else image)


def _prediction(model: TrainedModel, stem: str) -> NDArray[Any]:
    path = Path(model.predictions or '') / f'{stem}.png'
    if model.predictions is None or not path.is_file():
        raise DataError(
            f'No prediction {str(path)!r} of `{model.title}`. Test it again with '
            '`test_evaluator.output_dir`, which writes them.'
        )
    return _read(path)
