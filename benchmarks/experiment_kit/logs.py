"""Reads the log and the metrics from the work directory of a run.

Reads only what mmengine itself writes there: ``<time>/vis_data/scalars.json`` while
training, and ``<time>/<time>.json`` after a test.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pandas import DataFrame, Series

from mmkd_ext.errors import DataError

__all__ = ['Figures', 'curve', 'figures', 'read_metrics', 'read_scalars']


def read_scalars(work_dir: str | Path) -> DataFrame:
    """Returns what a run has logged, a row a record, in the order of its steps.

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
    records: dict[tuple[int, bool], dict[str, Any]] = {}
    for log in logs:
        for line in log.read_text().splitlines():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue  # the last line of a run that was killed while writing it
            if isinstance(record, dict) and 'step' in record:
                records[(int(record['step']), 'loss' in record)] = record
    table = DataFrame(list(records.values()))
    return table.sort_values('step', kind='stable') if records else table


def curve(scalars: DataFrame, key: str) -> Series[float]:
    """Returns the values of ``key`` by step, where it was logged.

    Args:
        scalars: What :func:`read_scalars` gave.
        key: A logged name such as ``'mIoU'``; ``'task_loss'`` is the sum of the
            student's own losses and ``'distill_loss'`` that of what distillation adds.
    """
    added = [name for name in scalars if name.startswith('distill.')]
    if key == 'distill_loss':
        values = scalars[added].sum(axis=1, min_count=1)
    elif key == 'task_loss':
        own = [n for n in scalars if 'loss' in n and n != 'loss' and n not in added]
        values = scalars[own].sum(axis=1, min_count=1)
        if 'loss' in scalars:
            values = values.fillna(scalars['loss'])
    else:
        values = scalars.get(key, Series(float('nan'), index=scalars.index))
    return values.set_axis(scalars.get('step', scalars.index)).dropna().astype(float)


def read_metrics(work_dir: str | Path) -> dict[str, Any]:
    """Returns the figures of the newest test below ``work_dir``.

    Raises:
        DataError: No test has left its figures there.
    """
    tests = [p for p in Path(work_dir).glob('*/*.json') if p.stem == p.parent.name]
    if not tests:
        raise DataError(
            f'No test figures (`<time>/<time>.json`) below {str(work_dir)!r}. '
            'Run tools/test.py with this `--work-dir`.'
        )
    metrics = json.loads(max(tests).read_text())
    if not isinstance(metrics, dict):
        raise DataError(
            f'{str(max(tests))!r} holds {type(metrics).__name__}, not a dict.'
        )
    return metrics


_TOP = 'accuracy/top'
_VIDEO = 'video/'  # what metrics of the projects on videos begin with


@dataclass(frozen=True)
class Figures:
    """The figures of a test as tables name them, in percent but for those of videos.

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


def figures(metrics: dict[str, Any]) -> Figures:
    """Returns the figures of a test of a segmentor, a detector or a classifier.

    Args:
        metrics: What :func:`read_metrics` gave: of mmseg's ``IoUMetric``, which knows
            classes as ``mmkd_ext.ClassIoUMetric``, or of mmdet's ``CocoMetric`` for
            boxes, which knows them when it is ``classwise``; or of mmpretrain's
            ``Accuracy``, which knows none, or ``video/<name>``, as they are.

    Raises:
        DataError: They are of none of these.

    Examples:
        >>> figures({'coco/bbox_mAP': 0.25, 'coco/RBC_precision': 0.5})
        Figures(values={'AP': 25.0}, classes={'RBC': 50.0}, of_classes='class AP')
    """
    if 'mIoU' in metrics:
        known = ('mIoU', 'mAcc', 'aAcc')
        return Figures(
            {name: float(metrics[name]) for name in known if name in metrics},
            {k[4:]: float(v) for k, v in metrics.items() if k.startswith('IoU.')},
            'IoU',
        )
    tops = {name[len(_TOP) :]: name for name in metrics if name.startswith(_TOP)}
    if tops:
        ranked = sorted(tops, key=int)
        return Figures({f'top-{k}': float(metrics[tops[k]]) for k in ranked}, {}, '')
    video = {
        name[len(_VIDEO) :]: float(value)
        for name, value in metrics.items()
        if name.startswith(_VIDEO)
    }
    if video:
        return Figures(video, {}, '')
    for lead in (name for name in metrics if name.endswith('bbox_mAP')):
        prefix, end = lead[: -len('bbox_mAP')], '_precision'
        names = {'AP': lead, 'AP50': f'{lead}_50', 'AP75': f'{lead}_75'}
        return Figures(
            {k: _percent(metrics[v]) for k, v in names.items() if v in metrics},
            {
                name[len(prefix) : -len(end)]: _percent(value)
                for name, value in metrics.items()
                if name.startswith(prefix) and name.endswith(end)
            },
            'class AP',
        )
    raise DataError(
        f'Neither `mIoU` nor `bbox_mAP` nor `{_TOP}1` is among the figures '
        f'{sorted(metrics)}. Test with `mmkd_ext.ClassIoUMetric`, '
        '`mmdet.CocoMetric` or `mmpretrain.Accuracy`.'
    )


def _percent(share: Any) -> float:
    return round(100 * float(share), 2)
