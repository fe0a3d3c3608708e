"""What a run left behind: its curves, its test figures, its checkpoint.

Reads only what mmengine itself writes below a work directory:
``<time>/vis_data/scalars.json`` while training, ``<time>/<time>.json`` after a test
and ``last_checkpoint``.
"""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmkd_ext.checkpoint import latest_checkpoint
from mmkd_ext.errors import CheckpointError, DataError

__all__ = [
    'Figures',
    'class_ious',
    'curve',
    'figures',
    'kd_shares',
    'last_checkpoint',
    'read_metrics',
    'read_scalars',
    'step_seconds',
    'student_file',
    'task_loss',
]

Record = dict[str, Any]


def read_scalars(work_dir: str | Path) -> list[Record]:
    """Returns every logged record of a run in the order of its steps.

    A run that was stopped and resumed has several log folders; where two of them hold
    the same step, the later one counts.

    Raises:
        DataError: There is no log below ``work_dir``.
    """
    logs = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    if not logs:
        raise DataError(
            f'No `*/vis_data/scalars.json` below {str(work_dir)!r}: nothing was '
            'trained there, or its log was removed. Train it with tools/train.py.'
        )
    records: dict[tuple[int, bool], Record] = {}
    for log in logs:
        for line in log.read_text().splitlines():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue  # the last line of a run that was killed while writing it
            if isinstance(record, dict) and 'step' in record:
                records[(int(record['step']), 'loss' in record)] = record
    return [records[key] for key in sorted(records, key=lambda key: key[0])]


def task_loss(record: Record) -> float | None:
    """Returns the sum of the student's own losses, without what distillation adds.

    ``None`` for a record that is not of a training step.
    """
    parts = [
        float(value)
        for name, value in record.items()
        if 'loss' in name and name != 'loss' and not name.startswith('distill.')
    ]
    if parts:
        return sum(parts)
    return float(record['loss']) if 'loss' in record else None


def curve(records: list[Record], key: str) -> tuple[list[int], list[float]]:
    """Returns steps and values of ``key``, from the records that hold it.

    Args:
        records: What :func:`read_scalars` gave.
        key: A logged name such as ``'mIoU'``; ``'task_loss'`` is computed and
            ``'distill_loss'`` is the sum of all that distillation adds.
    """
    steps: list[int] = []
    values: list[float] = []
    for record in records:
        if key == 'task_loss':
            value = task_loss(record)
        elif key == 'distill_loss':
            added = [v for name, v in record.items() if name.startswith('distill.')]
            value = float(sum(added)) if added else None
        else:
            value = record.get(key)
        if value is not None:
            steps.append(int(record['step']))
            values.append(float(value))
    return steps, values


def step_seconds(records: list[Record]) -> float | None:
    """Returns how long a training step took: the median of what was logged.

    The first record is left out where there are others: it holds the warm-up. ``None``
    when no time was logged.

    Args:
        records: What :func:`read_scalars` gave.
    """
    _, times = curve([r for r in records if 'loss' in r], 'time')
    return statistics.median(times[1:] or times) if times else None


def kd_shares(records: list[Record]) -> dict[str, dict[str, float]]:
    """Returns which share of the loss each link of a distillation has, in percent.

    For ``'all'`` links together and for each: at the ``first`` and ``last`` record, and
    the ``mean`` of all. Empty for a run that distils nothing.

    Args:
        records: What :func:`read_scalars` gave.

    Examples:
        >>> kd_shares([{'loss': 4.0, 'distill.loss_cwd': 1.0, 'step': 1}])['all']
        {'first': 25.0, 'last': 25.0, 'mean': 25.0}
    """
    found: dict[str, list[float]] = {}
    for record in records:
        links = {
            name[len('distill.') :]: float(value)
            for name, value in record.items()
            if name.startswith('distill.') and 'loss' in name
        }
        if not links or not record.get('loss'):
            continue
        for name, value in {'all': sum(links.values()), **links}.items():
            found.setdefault(name, []).append(100 * value / float(record['loss']))
    return {
        name: {
            'first': round(shares[0], 2),
            'last': round(shares[-1], 2),
            'mean': round(statistics.fmean(shares), 2),
        }
        for name, shares in found.items()
    }


def read_metrics(work_dir: str | Path) -> Record:
    """Returns the figures of the newest test below ``work_dir``.

    Raises:
        DataError: No test has left its figures there.
    """
    found = sorted(
        path
        for path in Path(work_dir).glob('*/*.json')
        if path.stem == path.parent.name
    )
    if not found:
        raise DataError(
            f'No test figures (`<time>/<time>.json`) below {str(work_dir)!r}. '
            'Run tools/test.py with this `--work-dir`.'
        )
    metrics = json.loads(found[-1].read_text())
    if not isinstance(metrics, dict):
        raise DataError(
            f'{str(found[-1])!r} holds {type(metrics).__name__}, not a dict.'
        )
    return metrics


@dataclass(frozen=True)
class Figures:
    """The figures of a test as tables name them, in percent.

    Args:
        values: Name to value; the one that tables lead with stands first.
        classes: The figure of each class.
        of_classes: What that figure is called.
    """

    values: dict[str, float]
    classes: dict[str, float]
    of_classes: str

    @property
    def lead(self) -> str:
        """Name of the figure that tables lead with."""
        return next(iter(self.values))


def figures(metrics: Record) -> Figures:
    """Returns the figures of a segmentation or of a detection test.

    Args:
        metrics: What :func:`read_metrics` gave: of mmseg's ``IoUMetric``, or of mmdet's
            ``CocoMetric`` for boxes, which knows classes when it is ``classwise``.

    Raises:
        DataError: They are of neither.

    Examples:
        >>> figures({'coco/bbox_mAP': 0.25, 'coco/RBC_precision': 0.5})
        Figures(values={'AP': 25.0}, classes={'RBC': 50.0}, of_classes='class AP')
    """
    if 'mIoU' in metrics:
        known = ['mIoU', 'mAcc', 'aAcc']
        values = {name: float(metrics[name]) for name in known if name in metrics}
        return Figures(values, class_ious(metrics), 'IoU')
    for lead in metrics:
        prefix, found, rest = lead.rpartition('bbox_mAP')
        if not found or rest:
            continue
        names = {'AP': lead, 'AP50': f'{lead}_50', 'AP75': f'{lead}_75'}
        end = '_precision'
        return Figures(
            {a: _percent(metrics[b]) for a, b in names.items() if b in metrics},
            {
                name[len(prefix) : -len(end)]: _percent(value)
                for name, value in metrics.items()
                if name.startswith(prefix) and name.endswith(end)
            },
            'class AP',
        )
    raise DataError(
        f'Neither `mIoU` nor `bbox_mAP` is among the figures {sorted(metrics)}. Test '
        'with `mmkd_ext.ClassIoUMetric` or `mmdet.CocoMetric`.'
    )


def _percent(share: Any) -> float:
    return round(100 * float(share), 2)


def class_ious(metrics: Record) -> dict[str, float]:
    """Returns the IoU in percent of each class, of `mmkd_ext.ClassIoUMetric`."""
    return {
        name[len('IoU.') :]: float(value)
        for name, value in metrics.items()
        if name.startswith('IoU.')
    }


def last_checkpoint(work_dir: str | Path) -> Path:
    """Returns the newest checkpoint that a run says it has written.

    Raises:
        CheckpointError: It wrote none, or the file is gone.
    """
    path = latest_checkpoint(work_dir)
    if path is None:
        raise CheckpointError(
            f'No `last_checkpoint` in {str(work_dir)!r}: the run has not come to its '
            'first checkpoint.'
        )
    return Path(path)


def student_file(checkpoint: Path) -> Path:
    """Returns the plain student beside ``checkpoint``, or ``checkpoint`` itself."""
    beside = checkpoint.with_name(f'{checkpoint.stem}_student.pth')
    return beside if beside.is_file() else checkpoint
