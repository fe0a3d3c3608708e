"""One training step on random pictures: shapes, values, shares, gradients."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from mmkd_ext.algorithms.dry_run import SIZE, blank_batch
from mmkd_ext.config.context import TermFacts
from mmkd_ext.distillers.alignment import ours_instead
from mmkd_ext.distillers.link_distiller import LinkDistiller
from mmkd_ext.errors import Problem

if TYPE_CHECKING:
    from mmkd_ext.algorithms import TeacherDistill

__all__ = ['Shapes', 'failed_link', 'measure', 'random_batch', 'shape_of']

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


def describe_batch(size: tuple[int, int] = (SIZE, SIZE)) -> str:
    """Says what `random_batch` returns."""
    return f'{SAMPLES} x 3 x {size[0]} x {size[1]} noise'


@dataclass
class Shapes:
    """Shapes seen on the way of each link's arguments.

    Attributes:
        recorded: By link and argument, what the tap gave.
        entering: By link and argument, what entered the loss.
    """

    recorded: dict[tuple[str, str], str] = field(default_factory=dict)
    entering: dict[tuple[str, str], str] = field(default_factory=dict)


def measure(
    model: TeacherDistill, *, gradients: bool
) -> tuple[list[TermFacts], Shapes]:
    """Runs one training step without an optimizer.

    Every link counts in full, whatever its schedule says of the first iteration.

    Args:
        model: The distillation; its statistics and schedules change.
        gradients: Also compute each term's gradient on the student's parameters.

    Returns:
        The terms, and the shapes that were seen.
    """
    model.train()
    model.distiller.schedules = {}
    shapes = Shapes()
    handles = _watch(model.distiller, shapes)
    batch = random_batch(model.architecture, model.input_size)
    try:
        with torch.set_grad_enabled(gradients):
            losses = model.loss(batch['inputs'], batch['data_samples'])
    finally:
        for handle in handles:
            handle.remove()
    terms = {name: _term(value) for name, value in losses.items() if 'loss' in name}
    norms = _norms(terms, model) if gradients else {}
    total = sum(abs(float(term.detach())) for term in terms.values())
    total_norm = sum(norms.values())
    facts = []
    for name, term in terms.items():
        value = float(term.detach())
        norm = norms.get(name)
        facts.append(
            TermFacts(
                name,
                value,
                abs(value) / total if total else 0.0,
                norm,
                None if norm is None else (norm / total_norm if total_norm else 0.0),
            )
        )
    return facts, shapes


def _term(value: Any) -> Tensor:
    """Makes one number of a loss, as mmengine does."""
    if isinstance(value, Tensor):
        return value.mean()
    return torch.stack([part.mean() for part in value]).sum()


def _norms(terms: dict[str, Tensor], model: TeacherDistill) -> dict[str, float]:
    """Returns the norm of each term's gradient on the student's parameters.

    It goes backward in full, since checkpointed activations allow nothing else, and
    leaves no gradient behind.
    """
    before = [(p, p.grad) for p in model.parameters()]
    student = list(model.architecture.parameters())
    norms = {}
    for name, term in terms.items():
        for parameter, _ in before:
            parameter.grad = None
        if term.requires_grad:
            torch.autograd.backward(term, retain_graph=True)
        each = [p.grad.norm() for p in student if p.grad is not None]
        norms[name] = float(torch.stack(each).norm()) if each else 0.0
    for parameter, grad in before:
        parameter.grad = grad
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


def failed_link(error: Exception, distiller: LinkDistiller) -> Problem | None:
    """Returns a problem at the link whose loss raised, None if none was at work.

    A loss of another package may raise anything; which link was at work is read off
    the traceback.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code is LinkDistiller.loss_of.__code__:
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
