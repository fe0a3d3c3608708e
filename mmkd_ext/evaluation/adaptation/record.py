"""Results of a stream, counted batch by batch, and the result file they become."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mmkd_ext.adaptation.pixels import png_uri

if TYPE_CHECKING:
    from torch import Tensor

    from mmkd_ext.adaptation import StepResult

__all__ = [
    'SCHEMA',
    'CellRecord',
    'StreamRecord',
    'areas',
    'iou_metrics',
    'picture',
]

SCHEMA = 1
IGNORE = 255
#: Points of the timeline, at most.
POINTS = 2000
#: Images whose areas make the running mIoU.
WINDOW = 20
#: Of a guard's signals, those in the timeline.
SIGNALS = ('lost', 'disagreement')
#: Counts of events in a row of the results.
_EVENTS = ('updates', 'skipped', 'rolled_back', 'resets', 'undecodable')
#: Attributes of a stream in the result file.
_CONTENT = (
    *('complete', 'settings', 'cells', 'source_eval', 'events', 'timeline'),
    *('prototypes', 'buffer', 'pictures'),
)


def areas(prediction: Tensor, truth: Tensor | None, classes: int) -> Tensor:
    """Returns the pixels of each class ``(3 k)``: correct, predicted, true.

    Pixels without a class in the truth are left out, as in mmseg; without a truth all
    are 0.

    Args:
        prediction: Classes ``(h w)``.
        truth: Classes ``(h w)``, 255 for none; or None.
        classes: Number of classes.
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


def iou_metrics(total: Tensor, names: Sequence[str]) -> dict[str, Any]:
    """Returns mIoU, mAcc, aAcc and the IoU of each class, in percent.

    A class that occurs neither in the truth nor in a prediction has no IoU (None) and
    is in no mean.

    Args:
        total: Summed `areas` ``(3 k)``.
        names: Names of the classes.
    """
    correct, predicted, true = total.double()
    iou = 100 * correct / (predicted + true - correct)
    return {
        'mIoU': _number(iou.nanmean()),
        'mAcc': _number((100 * correct / true).nanmean()),
        'aAcc': _number(100 * correct.sum() / true.sum()),
        'IoU': {name: _number(value) for name, value in zip(names, iou)},
    }


def _number(value: Tensor | float | None) -> float | None:
    """Returns a rounded number for JSON; None for NaN, infinity and None."""
    if value is None or not math.isfinite(float(value)):
        return None
    return round(float(value), 4)


@dataclass
class CellRecord:
    """One domain in one round, so far.

    Args:
        round: The round, from 1 on.
        domain: Name of the domain.
        classes: Number of classes.
        images: Images that were predicted.
        total: Sum of their `areas`.
        sums: Sums over the images, by name.
        losses: Sum and number of the values of each term of the loss.
        memory: Peak memory of the device in MiB.
    """

    round: int
    domain: str
    classes: int
    images: int = 0
    total: Tensor = field(default_factory=lambda: torch.zeros(0))
    sums: dict[str, float] = field(default_factory=dict)
    losses: dict[str, list[float]] = field(default_factory=dict)
    memory: float = 0.0

    def __post_init__(self) -> None:
        if not self.total.numel():
            self.total = torch.zeros(3, self.classes, dtype=torch.int64)

    def count(self, **amounts: float) -> None:
        """Adds to the sums."""
        for name, amount in amounts.items():
            self.sums[name] = self.sums.get(name, 0) + amount

    def mean(self, name: str, over: float | None = None) -> float | None:
        """Returns a sum divided by the images, or by another number."""
        count = self.images if over is None else over
        return _number(self.sums.get(name, 0) / count) if count else None

    def row(self, names: Sequence[str]) -> dict[str, Any]:
        """Returns the cell as it stands in the result file."""
        seconds = self.mean('seconds')
        return {
            'round': self.round,
            'domain': self.domain,
            'images': self.images,
            **iou_metrics(self.total, names),
            'predicted_classes': self.mean('predicted'),
            'source_predicted_classes': self.mean(
                'source_predicted', self.sums.get('watched', 0)
            ),
            **{name: int(self.sums.get(name, 0)) for name in _EVENTS},
            'forwards': self.mean('forwards'),
            'backwards': self.mean('backwards'),
            'images_per_second': (
                _number(self.images / self.sums['seconds']) if seconds else None
            ),
            'peak_memory_mb': _number(self.memory) if self.memory else None,
            'loss': {k: _number(s / n) for k, (s, n) in self.losses.items()},
        }


class StreamRecord:
    """Collects the results of a stream.

    Args:
        names: Names of the classes.
        steps: Number of batches in the whole stream, which thins the timeline.
        settings: Settings of the run, for the result file.
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
        self.open_cell: CellRecord | None = None

    @property
    def cell(self) -> CellRecord:
        """The cell in progress."""
        if self.open_cell is None:
            raise RuntimeError('No cell has begun: call `begin` first.')
        return self.open_cell

    # ---- collecting ---------------------------------------------------------------

    def begin(self, round_: int, domain: str) -> CellRecord:
        """Begins a cell, or continues the one in progress."""
        if self.open_cell is None:
            self.open_cell = CellRecord(round_, domain, len(self.names))
            self.window = []
        return self.open_cell

    def add(
        self,
        samples: Sequence[Any],
        truths: Sequence[Tensor | None],
        result: StepResult,
        step: int,
        index: int,
    ) -> None:
        """Counts one batch.

        Args:
            samples: Predictions, with ``pred_sem_seg``.
            truths: Labels ``(h w)``, or None.
            result: What the step returned.
            step: Index of the batch in the stream.
            index: Index of the batch in the domain.
        """
        cell, images, predicted = self.cell, len(samples), 0
        for sample, truth in zip(samples, truths):
            prediction = sample.pred_sem_seg.data.squeeze(0)
            own = areas(prediction, truth, len(self.names))
            cell.total += own
            self.window = [*self.window[1 - WINDOW :], own]
            present = torch.bincount(prediction.flatten(), minlength=len(self.names))
            predicted += int((present > 0).sum())
        cell.images += images
        cell.count(predicted=predicted, seconds=result.seconds)
        for name, amount in result.counts.items():
            # passes are an image's, events a batch's
            cell.count(**{name: amount * (1 if name in _EVENTS else images)})
        source_predicted = result.signals.get('source_classes')
        if source_predicted is not None:
            cell.count(source_predicted=source_predicted * images, watched=images)
        for name, value in result.losses.items():
            total = cell.losses.setdefault(name, [0.0, 0])
            total[0], total[1] = total[0] + value, total[1] + 1
        for event in result.events:
            self.add_event(step, index, **event)
        if step % self.stride == 0:
            self.timeline.append({
                'step': step,
                'round': cell.round,
                'domain': cell.domain,
                'mIoU': self.running_miou(),
                'classes': _number(predicted / max(images, 1)),
                **{name: _number(result.signals.get(name)) for name in SIGNALS},
            })

    def running_miou(self) -> float | None:
        """Returns the mIoU over the last images."""
        total = torch.stack([torch.zeros_like(self.cell.total), *self.window]).sum(0)
        miou: float | None = iou_metrics(total, self.names)['mIoU']
        return miou

    def add_event(
        self,
        step: int,
        index: int,
        action: str,
        reason: str,
        signals: Mapping[str, float] | None = None,
        count: str | None = None,
    ) -> None:
        """Adds an event to the cell.

        The same one step after step, such as a pause, is one event with a count:
        ``times``, from ``step`` on, with the signals of the first.

        Args:
            step: Index of the batch in the stream.
            index: Index of the batch, or image, in the domain.
            action: What was done.
            reason: Why.
            signals: What a guard saw.
            count: Name of the count of the cell that goes up by one.
        """
        cell = self.cell
        if count is not None:
            cell.count(**{count: 1})
        place = {'round': cell.round, 'domain': cell.domain}
        event = {**place, 'action': action, 'reason': reason}
        last = self.events[-1] if self.events else {}
        goes_on = last.get('step', step) + last.get('times', 0) == step
        if goes_on and event == {key: last.get(key) for key in event}:
            last['times'] += 1
            return
        self.events.append({
            **event,
            'step': step,
            'index': index,
            'times': 1,
            'signals': {k: _number(v) for k, v in (signals or {}).items()},
        })

    def end(self, metrics: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Ends the cell and returns its row.

        Args:
            metrics: Values of the domain's own metrics.
        """
        row = self.cell.row(self.names)
        if metrics:
            row['metrics'] = {
                name: _number(float(value)) if isinstance(value, Real) else str(value)
                for name, value in metrics.items()
            }
        self.cells.append(row)
        self.open_cell = None
        return row

    # ---- reading ------------------------------------------------------------------

    def results(self) -> dict[str, Any]:
        """Returns the content of the result file."""
        content = {name: getattr(self, name) for name in _CONTENT}
        return {'schema': SCHEMA, 'classes': self.names, **content}

    def summary(self) -> dict[str, float]:
        """Returns the mean mIoU of all cells, and of each domain over the rounds."""
        groups: dict[str, list[float]] = {}
        for cell in self.cells:
            if cell['mIoU'] is not None:
                for name in ('mIoU', f'{cell["domain"]}/mIoU'):
                    groups.setdefault(name, []).append(cell['mIoU'])
        return {k: round(sum(v) / len(v), 4) for k, v in groups.items()}

    def state(self) -> dict[str, Any]:
        """Returns all but the settings, as dicts, lists, numbers and tensors."""
        state = {k: v for k, v in vars(self).items() if k != 'settings'}
        cell = self.open_cell
        return {**state, 'open_cell': None if cell is None else dict(vars(cell))}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restores what `state` returned."""
        vars(self).update(state)
        if self.open_cell is not None:
            self.open_cell = CellRecord(**state['open_cell'])


def picture(
    image: Any, palette: Sequence[Sequence[int]] | None = None, width: int = 320
) -> str:
    """Returns an image, or a map of classes, as a PNG in a data URI.

    Args:
        image: Tensor or array of pixels ``(h w 3)`` in the order blue, green, red, or
            of classes ``(h w)``.
        palette: RGB of each class.
        width: Largest width.
    """
    image = torch.as_tensor(image).cpu().numpy()
    if image.ndim == 2:
        colours = np.zeros((256, 3), np.uint8)
        if palette:
            colours[: len(palette)] = np.asarray(palette, np.uint8)[:, ::-1]
        image = colours[image.clip(0, 255).astype(np.uint8)]
    return png_uri(image, width)
