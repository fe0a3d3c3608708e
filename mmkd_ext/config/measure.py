"""What a training step shows: shapes, values, shares, gradients."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmkd_ext.algorithms.dry_run import blank_batch
from mmkd_ext.config.context import TermSummary
from mmkd_ext.distillers.alignment import ours_instead
from mmkd_ext.distillers.link_distiller import LinkDistiller
from mmkd_ext.errors import Problem, problems_of
from mmkd_ext.methods._adversary import discriminators_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    'Measured',
    'link_problem',
    'measuring',
    'random_batch',
    'shape_of',
    'step_on_noise',
    'summarize_terms',
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


class _NoPreprocessor(nn.Module):
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
    for teacher in getattr(model, 'teachers', {}).values():
        if getattr(teacher, 'input', None) is not None:
            for sample, picture in zip(batch['data_samples'] or (), batch['inputs']):
                sample.set_field(picture, teacher.input)
    if wrapper is None:
        wrapper = OptimWrapper(torch.optim.SGD(list(model.parameters()), lr=0.0))
        for discriminator in discriminators_of(model):
            discriminator.has_optimizer = True
    before, model.data_preprocessor = model.data_preprocessor, _NoPreprocessor()
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
class Measured:
    """What was seen in a training step.

    Attributes:
        terms: The terms of the loss.
        recorded: By link and argument, the shape of what the tap gave.
        entering: By link and argument, the shape of what entered the loss.
        batch: What the step was made with.
    """

    terms: list[TermSummary] = field(default_factory=list)
    recorded: dict[tuple[str, str], str] = field(default_factory=dict)
    entering: dict[tuple[str, str], str] = field(default_factory=dict)
    batch: str = ''


@contextmanager
def measuring(model: nn.Module, *, gradients: bool) -> Iterator[Measured]:
    """Measures the terms and shapes of the training steps in the block.

    Every link counts in full, whatever its schedule gives in the first iteration.

    Args:
        model: The model that trains; schedules of a distillation are taken out.
        gradients: Also compute each term's gradient on the student's parameters.
    """
    measured = Measured()
    handles = []
    distiller = getattr(model, 'distiller', None)
    if isinstance(distiller, LinkDistiller):
        distiller.schedules = {}
        handles = _watch(distiller, measured)
    student = getattr(model, 'architecture', model)
    parse: Any = model.parse_losses

    def parse_and_measure(losses: dict[str, Any]) -> Any:
        terms = {name: _term(loss) for name, loss in losses.items() if 'loss' in name}
        # students that learn together are one
        peers = getattr(model, 'peers', None) or nn.ModuleDict()
        students = [*student.parameters(), *peers.parameters()]
        trained = [p for p in students if p.requires_grad]
        norms = _norms(model, terms, trained) if gradients else {}
        values = {name: float(term.detach()) for name, term in terms.items()}
        measured.terms = summarize_terms(values, norms)
        return parse(losses)

    def note_batch(module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        inputs = kwargs.get('inputs', args[0] if args else None)
        if isinstance(inputs, Tensor) and not measured.batch:
            measured.batch = ' x '.join(map(str, inputs.shape))

    handles.append(model.register_forward_pre_hook(note_batch, with_kwargs=True))
    vars(model)['parse_losses'] = parse_and_measure
    try:
        yield measured
    finally:
        del vars(model)['parse_losses']
        for handle in handles:
            handle.remove()


def summarize_terms(
    values: dict[str, float], norms: dict[str, float] | None = None
) -> list[TermSummary]:
    """Returns the terms of a loss with their shares, from values and gradient norms."""
    norms = norms or {}
    total = sum(map(abs, values.values())) or 1.0
    whole = sum(norms.values()) or 1.0
    shares = {name: norm / whole for name, norm in norms.items()}
    return [
        TermSummary(n, v, abs(v) / total, norms.get(n), shares.get(n))
        for n, v in values.items()
    ]


def _term(value: Any) -> Tensor:
    """Makes one number of a loss, as mmengine does."""
    if isinstance(value, Tensor):
        return value.mean()
    return torch.stack([part.mean() for part in value]).sum()


def _norms(
    model: nn.Module, terms: dict[str, Tensor], trained: list[nn.Parameter]
) -> dict[str, float]:
    """Returns the norm of each term's gradient on the student's parameters."""
    norms = {}
    for name, term in terms.items():
        if term.requires_grad:
            # not `autograd.grad`, which checkpointed parts refuse
            term.backward(retain_graph=True)  # type: ignore[no-untyped-call]
        each = [p.grad.norm() for p in trained if p.grad is not None]
        norms[name] = float(torch.stack(each).norm()) if each else 0.0
        for parameter in model.parameters():
            parameter.grad = None
    return norms


def _watch(distiller: LinkDistiller, seen: Measured) -> list[Any]:
    """Hooks the connectors, alignments and losses, to see what they are given."""
    handles = []
    for link in distiller.links:
        # from the first module that a value passes to the last
        modules = [
            (distiller.connectors[tap.connector], key)
            for key, tap in link.all_taps()
            if tap.connector is not None
        ]
        if link.name in distiller.aligners:
            modules.append((distiller.aligners[link.name], 'preds_S'))
        modules.append((distiller.distill_losses[link.name], ''))
        for module, key in modules:
            note = partial(_note, seen, link.name, key)
            handles.append(module.register_forward_pre_hook(note, with_kwargs=True))
    return handles


def _note(
    seen: Measured,
    link: str,
    key: str,
    module: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    """Notes the shape of a tap's own value, and of what comes with it."""
    if key and args:
        seen.recorded.setdefault((link, key), shape_of(args[0]))
    for name, value in kwargs.items():
        argument = link, f'{key}.given.{name}' if key else name
        seen.entering[argument] = shape_of(value)
        seen.recorded.setdefault(argument, shape_of(value))


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


def link_problem(error: Exception, distiller: Any) -> Problem | None:
    """Returns a problem at the link that was at work, None if none was.

    Args:
        error: What a training step raised.
        distiller: The distiller of the step.
    """
    name = getattr(error, 'link', None)
    if name is None:
        return None
    problem = replace(problems_of(error, '')[0], link=name)
    if problem.path:
        return problem
    link = next(link for link in distiller.links if link.name == name)
    plan = next(plan for plan in distiller.plans if plan.name == name)
    seen = ', '.join(f'`{key}` {shape}' for key, shape in plan.shapes.items())
    instead = ours_instead(distiller.distill_losses[name])
    return Problem(
        link.where('loss'),
        f'fails in a dry run: {type(error).__name__}: {error}',
        f'It was given {seen}. {instead}',
        name,
    )
