"""What a run left behind: its curves, its test figures, its checkpoint.

Reads only what mmengine itself writes below a work directory:
``<time>/vis_data/scalars.json`` while training, ``<time>/<time>.json`` after a test
and ``last_checkpoint``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mmkd_ext.errors import CheckpointError, DataError

__all__ = [
    'class_ious',
    'curve',
    'last_checkpoint',
    'read_metrics',
    'read_scalars',
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
    note = Path(work_dir) / 'last_checkpoint'
    if not note.is_file():
        raise CheckpointError(
            f'No `last_checkpoint` in {str(work_dir)!r}: the run has not come to its '
            'first checkpoint.'
        )
    path = Path(note.read_text().strip())
    for candidate in (path, Path(work_dir) / path.name):
        if candidate.is_file():
            return candidate
    raise CheckpointError(
        f'{str(note)!r} names {str(path)!r}, which is not there. Train again, or '
        'name a checkpoint.'
    )


def student_file(checkpoint: Path) -> Path:
    """Returns the plain student beside ``checkpoint``, or ``checkpoint`` itself."""
    beside = checkpoint.with_name(f'{checkpoint.stem}_student.pth')
    return beside if beside.is_file() else checkpoint
