"""What a stream yields, counted image by image, and the result file it becomes."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch

from mmkd_ext.adaptation.signals import SIGNALS

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    'LOST',
    'SCHEMA',
    'CellRecord',
    'StreamRecord',
    'areas',
    'figures',
    'picture',
]

SCHEMA = 1
IGNORE = 255
#: Points of the timeline, at most.
POINTS = 2000
#: Images whose areas make the running mIoU.
WINDOW = 20
#: What a guard calls the shares of the source that are lost, by signal.
LOST = {name: f'lost_{name}' for name in SIGNALS}
_COUNTS = ('updates', 'skipped', 'rolled_back', 'resets', 'undecodable')
_PASSES = ('forwards', 'backwards')


def areas(prediction: Tensor, truth: Tensor | None, classes: int) -> Tensor:
    """Returns pixels of each class ``(3 k)``: right, predicted, true.

    Pixels without a class in the truth are left out, as in mmseg; without a truth all
    are 0.

    Args:
        prediction: Classes ``(h w)``.
        truth: Classes ``(h w)``, 255 for none; or None.
        classes: Their number.
    """
    if truth is None:
        return torch.zeros(3, classes, dtype=torch.int64)
    valid = truth != IGNORE
    # a label beyond the classes is wrong whatever is predicted
    truth = truth[valid].long().clamp(max=classes)
    index = truth * classes + prediction[valid].long()
    matrix = torch.bincount(index, minlength=(classes + 1) * classes)
    matrix = matrix.view(classes + 1, classes).cpu()
    return torch.stack([matrix.diagonal(), matrix.sum(0), matrix[:-1].sum(1)])


def figures(total: Tensor, names: Sequence[str]) -> dict[str, Any]:
    """Returns mIoU, mAcc, aAcc and the IoU of each class, in percent.

    A class that occurs neither in the truth nor in a prediction has no IoU (None) and
    is in no mean.

    Args:
        total: Summed `areas` ``(3 k)``.
        names: Of the classes.
    """
    right, predicted, true = total.double()
    union = predicted + true - right
    iou, accuracy = 100 * right / union, 100 * right / true
    return {
        'mIoU': _number(iou.nanmean()),
        'mAcc': _number(accuracy.nanmean()),
        'aAcc': _number(100 * right.sum() / true.sum()),
        'IoU': {name: _number(value) for name, value in zip(names, iou)},
    }


def _number(value: Tensor | float | None) -> float | None:
    """Returns a number fit for JSON, rounded; None for what is none."""
    if value is None or not math.isfinite(float(value)):
        return None
    return round(float(value), 4)


def _plain(value: Any) -> float | str | None:
    number = isinstance(value, (int, float, np.number))
    return _number(float(value)) if number else str(value)


@dataclass
class CellRecord:
    """One domain in one round, so far.

    Args:
        round: From 1 on.
        domain: Its name.
        classes: Number of classes.
    """

    round: int
    domain: str
    classes: int
    images: int = 0
    total: Tensor = field(default_factory=lambda: torch.zeros(0))
    predicted: float = 0.0
    source_predicted: float = 0.0
    watched: int = 0
    counts: dict[str, float] = field(default_factory=dict)
    losses: dict[str, list[float]] = field(default_factory=dict)
    seconds: float = 0.0
    memory: float = 0.0

    def __post_init__(self) -> None:
        if not self.total.numel():
            self.total = torch.zeros(3, self.classes, dtype=torch.int64)

    def mean(self, name: str) -> float | None:
        """Returns the mean of a count over the images."""
        return _number(self.counts.get(name, 0) / self.images) if self.images else None


class StreamRecord:
    """Collects what happens on a stream.

    Args:
        names: Of the classes.
        steps: Number of batches in the whole stream, which thins the timeline.
        settings: What the result file says about the run.
    """

    def __init__(
        self, names: Sequence[str], steps: int, settings: Mapping[str, Any]
    ) -> None:
        self.names = list(names)
        self.settings = dict(settings)
        self.stride = max(1, math.ceil(steps / POINTS))
        self.cells: list[dict[str, Any]] = []
        self.source_eval: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.timeline: list[dict[str, Any]] = []
        self.pictures: list[dict[str, Any]] = []
        self.prototypes: Any = None
        self.buffer: Any = None
        self.complete = False
        self.window: list[Tensor] = []
        self.cell: CellRecord | None = None

    # ---- collecting ---------------------------------------------------------------

    def begin(self, round_: int, domain: str) -> CellRecord:
        """Returns the cell that has begun, or begins one."""
        if self.cell is None:
            self.cell = CellRecord(round_, domain, len(self.names))
            self.window = []
        return self.cell

    def add(
        self,
        samples: Sequence[Any],
        truths: Sequence[Tensor | None],
        result: Any,
        step: int,
        index: int,
    ) -> None:
        """Counts one batch.

        Args:
            samples: Predictions, with ``pred_sem_seg``.
            truths: Labels ``(h w)``, or None.
            result: The `StepResult`.
            step: Its place in the stream.
            index: Its place in the domain.
        """
        cell = self._open
        count = 0.0
        for sample, truth in zip(samples, truths):
            prediction = sample.pred_sem_seg.data.squeeze(0)
            found = areas(prediction, truth, len(self.names))
            cell.total += found
            self.window = [*self.window[1 - WINDOW :], found]
            present = torch.bincount(prediction.flatten(), minlength=len(self.names))
            count += int((present > 0).sum())
        cell.images += len(samples)
        cell.predicted += count
        for name in _COUNTS[:-1]:
            cell.counts[name] = cell.counts.get(name, 0) + result.counts.get(name, 0)
        for name in _PASSES:
            passes = result.counts.get(name, 0) * len(samples)
            cell.counts[name] = cell.counts.get(name, 0) + passes
        if 'source_classes' in result.signals:
            cell.source_predicted += result.signals['source_classes'] * len(samples)
            cell.watched += len(samples)
        for name, value in result.losses.items():
            total = cell.losses.setdefault(name, [0.0, 0])
            total[0], total[1] = total[0] + value, total[1] + 1
        cell.seconds += result.seconds
        for event in result.events:
            self.note(step, index, **event)
        if step % self.stride == 0:
            self._point(step, result.signals, count / max(len(samples), 1))

    def note(
        self,
        step: int,
        index: int,
        action: str,
        reason: str,
        signals: Mapping[str, float] | None = None,
    ) -> None:
        """Notes an event in the cell.

        The same one image after image, such as a pause, is one event with a count:
        ``times``, from ``step`` on, with the signals of the first.
        """
        event = {
            'round': self._open.round,
            'domain': self._open.domain,
            'action': action,
            'reason': reason,
        }
        last = self.events[-1] if self.events else {}
        goes_on = last.get('step', step) + last.get('times', 0) == step
        if goes_on and event == {key: last.get(key) for key in event}:
            last['times'] += 1
            return
        self.events.append(
            {
                **event,
                'step': step,
                'index': index,
                'times': 1,
                'signals': {k: _number(v) for k, v in (signals or {}).items()},
            }
        )

    def unreadable(self, step: int, index: int, reason: str) -> None:
        """Counts an image that could not be loaded."""
        cell = self._open
        cell.counts['undecodable'] = cell.counts.get('undecodable', 0) + 1
        self.note(step, index, 'undecodable', reason)

    def reset(self, step: int, index: int, reason: str) -> None:
        """Counts a reset that the config planned."""
        cell = self._open
        cell.counts['resets'] = cell.counts.get('resets', 0) + 1
        self.note(step, index, 'reset', reason)

    def running(self) -> float | None:
        """Returns the mIoU of the last images."""
        if not self.window:
            return None
        value: float | None = figures(torch.stack(self.window).sum(0), self.names)[
            'mIoU'
        ]
        return value

    def end(self, metrics: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Ends the cell; returns its row.

        Args:
            metrics: What the evaluator of the domain found.
        """
        cell = self._open
        rest = {name: int(cell.counts.get(name, 0)) for name in _COUNTS}
        per_image = cell.seconds / cell.images if cell.images else 0
        row = {
            'round': cell.round,
            'domain': cell.domain,
            'images': cell.images,
            **figures(cell.total, self.names),
            'predicted_classes': _number(cell.predicted / max(cell.images, 1)),
            'source_predicted_classes': (
                _number(cell.source_predicted / cell.watched) if cell.watched else None
            ),
            **rest,
            'forwards': cell.mean('forwards'),
            'backwards': cell.mean('backwards'),
            'images_per_second': _number(1 / per_image) if per_image else None,
            'peak_memory_mb': _number(cell.memory) if cell.memory else None,
            'loss': {k: _number(s / n) for k, (s, n) in cell.losses.items()},
        }
        if metrics:
            row['metrics'] = {name: _plain(value) for name, value in metrics.items()}
        self.cells.append(row)
        self.cell = None
        return row

    def _point(self, step: int, signals: Mapping[str, float], classes: float) -> None:
        self.timeline.append(
            {
                'step': step,
                'round': self._open.round,
                'domain': self._open.domain,
                'mIoU': self.running(),
                'entropy': _number(signals.get('entropy')),
                'disagreement': _number(signals.get('disagreement')),
                'classes': _number(classes),
                **{name: _number(signals.get(name)) for name in LOST.values()},
            }
        )

    @property
    def _open(self) -> CellRecord:
        if self.cell is None:
            raise RuntimeError('No cell has begun: call `begin` first.')
        return self.cell

    # ---- what becomes of it -------------------------------------------------------

    def results(self) -> dict[str, Any]:
        """Returns the content of the result file."""
        return {
            'schema': SCHEMA,
            'complete': self.complete,
            'settings': self.settings,
            'classes': self.names,
            'cells': self.cells,
            'source_eval': self.source_eval,
            'events': self.events,
            'timeline': self.timeline,
            'prototypes': self.prototypes,
            'buffer': self.buffer,
            'pictures': self.pictures,
        }

    def summary(self) -> dict[str, float]:
        """Returns the mean of the cells, and of each domain over the rounds."""
        found: dict[str, float] = {}
        values = [c['mIoU'] for c in self.cells if c['mIoU'] is not None]
        if values:
            found['mIoU'] = round(sum(values) / len(values), 4)
        for domain in dict.fromkeys(c['domain'] for c in self.cells):
            own = [
                c['mIoU']
                for c in self.cells
                if c['domain'] == domain and c['mIoU'] is not None
            ]
            if own:
                found[f'{domain}/mIoU'] = round(sum(own) / len(own), 4)
        return found

    def state(self) -> dict[str, Any]:
        """Returns everything, as dicts, lists, numbers and tensors."""
        kept = {k: v for k, v in vars(self).items() if k not in ('cell', 'settings')}
        return {**kept, 'cell': None if self.cell is None else dict(vars(self.cell))}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Goes on where `state` was called."""
        vars(self).update({k: v for k, v in state.items() if k != 'cell'})
        cell = state['cell']
        self.cell = None if cell is None else CellRecord(**cell)


def picture(
    image: Any, palette: Sequence[Sequence[int]] | None = None, width: int = 320
) -> str:
    """Returns a PNG as a data address.

    Args:
        image: BGR pixels ``(h w 3)``, or classes ``(h w)`` to paint with the palette.
        palette: RGB of each class.
        width: Largest width.
    """
    image = np.asarray(image)
    if image.ndim == 2:
        colours = np.zeros((256, 3), np.uint8)
        if palette:
            colours[: len(palette)] = np.asarray(palette, np.uint8)[:, ::-1]
        image = colours[image.clip(0, 255).astype(np.uint8)]
    if image.shape[1] > width:
        height = max(1, round(image.shape[0] * width / image.shape[1]))
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_NEAREST)
    done, data = cv2.imencode('.png', np.ascontiguousarray(image, np.uint8))
    if not done:
        return ''
    return 'data:image/png;base64,' + base64.b64encode(data.tobytes()).decode()
