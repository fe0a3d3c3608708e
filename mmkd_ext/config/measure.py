"""What a training step shows: shapes, values, shares, gradients."""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmkd_ext.algorithms.dry_run import blank_batch
from mmkd_ext.config.context import TermFacts
from mmkd_ext.distillers.alignment import ours_instead
from mmkd_ext.distillers.link_distiller import LinkDistiller
from mmkd_ext.errors import MMKDError, Problem, problems_of
from mmkd_ext.methods._adversary import discriminators_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    'Measured',
    'Shapes',
    'failed_link',
    'measuring',
    'random_batch',
    'shape_of',
    'step_on_noise',
]

SAMPLES = 2


def random_batch(
    model: nn.Module, size: tuple[int, int] | None = None
) -> dict[str, Any]:
    """Returns two pictures of noise, normalised as a batch is, with ground truth."""
    batches = [blank_batch(model, size) for _ in range(SAMPLES)]
    inputs = torch.cat([batch['inputs'] for batch in batches])
    samples = [batch['data_samples'] for batch in batches]
    return {
        'inputs': torch.randn_like(inputs),
        'data_samples': None if samples[0] is None else list(chain(*samples)),
    }


class _Ready(nn.Module):
    """Stands for a preprocessor where the batch needs none."""

    def forward(self, data: Any, training: bool = False) -> Any:
        """Returns the batch."""
        return data


def step_on_noise(model: Any, wrapper: OptimWrapper | None, *, predict: bool) -> None:
    """Trains a model one step on noise, as a training does on its data.

    Args:
        model: The model.
        wrapper: Its optimizer; None for one that changes nothing.
        predict: Also predict.
    """
    student = getattr(model, 'architecture', model)
    batch = random_batch(student, getattr(model, 'input_size', None))
    if wrapper is None:
        wrapper = OptimWrapper(torch.optim.SGD(list(model.parameters()), lr=0.0))
        for one in discriminators_of(model):
            one.has_optimizer = True
    before, model.data_preprocessor = model.data_preprocessor, _Ready()
    try:
        model.train()
        model.train_step(dict(batch), wrapper)
        if predict:
            # MMRazor's algorithms return nothing here
            model.eval()
            with torch.no_grad():
                model.val_step(dict(batch))
    finally:
        model.data_preprocessor = before


@dataclass
class Shapes:
    """Shapes seen on the way of each link's arguments.

    Attributes:
        recorded: By link and argument, what the tap gave.
        entering: By link and argument, what entered the loss.
    """

    recorded: dict[tuple[str, str], str] = field(default_factory=dict)
    entering: dict[tuple[str, str], str] = field(default_factory=dict)


@dataclass
class Measured:
    """What was seen in a training step.

    Attributes:
        terms: The terms of the loss.
        shapes: Shapes on the way of each link's arguments.
        batch: What the step was made with.
    """

    terms: list[TermFacts] = field(default_factory=list)
    shapes: Shapes = field(default_factory=Shapes)
    batch: str = ''


@contextmanager
def measuring(model: nn.Module, *, gradients: bool) -> Iterator[Measured]:
    """Notes the terms and shapes of the training steps in the block.

    Every link counts in full, whatever its schedule says of the first iteration.

    Args:
        model: The model that trains; schedules of a distillation are taken out.
        gradients: Also compute each term's gradient on the student's parameters.
    """
    measured = Measured()
    handles = []
    distiller = getattr(model, 'distiller', None)
    if isinstance(distiller, LinkDistiller):
        distiller.schedules = {}
        handles = _watch(distiller, measured.shapes)
    student = getattr(model, 'architecture', model)
    parse: Any = model.parse_losses

    def noting(losses: dict[str, Any]) -> Any:
        terms = {name: _term(one) for name, one in losses.items() if 'loss' in name}
        learns = [p for p in student.parameters() if p.requires_grad]
        norms = _norms(model, terms, learns) if gradients else {}
        measured.terms = _facts(terms, norms)
        return parse(losses)

    def noting_batch(module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        inputs = kwargs.get('inputs', args[0] if args else None)
        if isinstance(inputs, Tensor) and not measured.batch:
            measured.batch = ' x '.join(map(str, inputs.shape))

    handles.append(model.register_forward_pre_hook(noting_batch, with_kwargs=True))
    vars(model)['parse_losses'] = noting
    try:
        yield measured
    finally:
        del vars(model)['parse_losses']
        for handle in handles:
            handle.remove()


def _facts(terms: dict[str, Tensor], norms: dict[str, float]) -> list[TermFacts]:
    values = {name: float(term.detach()) for name, term in terms.items()}
    total, total_norm = sum(map(abs, values.values())), sum(norms.values())
    return [
        TermFacts(
            name,
            value,
            abs(value) / total if total else 0.0,
            norms.get(name),
            norms[name] / (total_norm or 1.0) if name in norms else None,
        )
        for name, value in values.items()
    ]


def _term(value: Any) -> Tensor:
    """Makes one number of a loss, as mmengine does."""
    if isinstance(value, Tensor):
        return value.mean()
    return torch.stack([part.mean() for part in value]).sum()


def _norms(
    model: nn.Module, terms: dict[str, Tensor], learns: list[nn.Parameter]
) -> dict[str, float]:
    """Returns the norm of each term's gradient on the student's parameters."""
    norms = {}
    for name, term in terms.items():
        if term.requires_grad:
            # not `autograd.grad`, which checkpointed parts refuse
            term.backward(retain_graph=True)  # type: ignore[no-untyped-call]
        each = [p.grad.norm() for p in learns if p.grad is not None]
        norms[name] = float(torch.stack(each).norm()) if each else 0.0
        for parameter in model.parameters():
            parameter.grad = None
    return norms


def _watch(distiller: LinkDistiller, shapes: Shapes) -> list[Any]:
    """Notes what passes the connectors, alignments and losses."""
    handles = []
    for link in distiller.links:
        for key, tap in link.all_taps():
            if tap.connector is not None:
                handles.append(
                    distiller.connectors[tap.connector].register_forward_pre_hook(
                        _noting_connector(shapes, link.name, key), with_kwargs=True
                    )
                )
        if link.name in distiller.aligners:
            handles.append(
                distiller.aligners[link.name].register_forward_pre_hook(
                    _noting_first(shapes.recorded, (link.name, 'preds_S'))
                )
            )
        handles.append(
            distiller.distill_losses[link.name].register_forward_pre_hook(
                _noting_named(shapes, link.name), with_kwargs=True
            )
        )
    return handles


def _noting_first(into: dict[tuple[str, str], str], key: tuple[str, str]) -> Any:
    def note(module: nn.Module, args: tuple[Any, ...]) -> None:
        into.setdefault(key, shape_of(args[0]))

    return note


def _noting_connector(shapes: Shapes, link: str, key: str) -> Any:
    def note(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        shapes.recorded.setdefault((link, key), shape_of(args[0]))
        for name, value in kwargs.items():
            inside = (link, f'{key}.given.{name}')
            shapes.entering[inside] = shape_of(value)
            shapes.recorded.setdefault(inside, shape_of(value))

    return note


def _noting_named(shapes: Shapes, link: str) -> Any:
    def note(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        for key, value in kwargs.items():
            shapes.entering[link, key] = shape_of(value)
            shapes.recorded.setdefault((link, key), shape_of(value))

    return note


def shape_of(value: Any) -> str:
    """Writes the shape of a value, of a pyramid in brackets.

    Examples:
        >>> shape_of((torch.zeros(2, 8, 4, 4), torch.zeros(2, 8, 2, 2)))
        '[2x8x4x4, 2x8x2x2]'
    """
    if isinstance(value, Tensor):
        return 'x'.join(map(str, value.shape)) or 'a number'
    if isinstance(value, (list, tuple)):
        return '[' + ', '.join(map(shape_of, value)) + ']'
    return type(value).__name__


def failed_link(error: Exception, distiller: Any) -> Problem | None:
    """Returns a problem at the link whose loss raised, None if none was at work.

    A loss of another package may raise anything; which link was at work is read off
    the traceback.
    """
    if isinstance(error, MMKDError) and problems_of(error, '')[0].path:
        return problems_of(error, '')[0]
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code is LinkDistiller.compute_distill_losses.__code__:
            link = frame.f_locals['link']
            plan = next(p for p in distiller.plans if p.name == link.name)
            instead = ours_instead(distiller.distill_losses[link.name])
            seen = ', '.join(f'`{key}` {shape}' for key, shape in plan.shapes.items())
            return Problem(
                f'{link.path}.loss',
                f'fails in a dry run: {type(error).__name__}: {error}',
                f'It was given {seen}. {instead}',
            )
    return None
