"""Laws that every loss between a student and a teacher obeys.

A `LossCase` says how to build a loss and what is special about it; each of `LAWS` then
holds or raises `LawBroken`. A plugin tests its own losses in six lines::

    import pytest
    from mmkd_ext.testing.laws import LossCase, applicable

    CASES = [LossCase(MyLoss, dict(tau=2.0), temperature='tau')]

    @pytest.mark.parametrize(('law', 'case'), applicable(CASES), ids=str)
    def test_my_losses_obey(law, case):
        law.check(case)

The laws know nothing of a method's equation. What they cannot see, such as which of
two distributions is the target, is declared: a value known from hand or paper
(`KnownValue`), what the loss does not react to (`LossCase.invariances`), how it scales
with its temperature (`LossCase.temperature`).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

import torch
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError

from mmkd_ext.errors import ConfigError, ShapeError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mmkd_ext.methods import PairLoss
    from mmkd_ext.methods._base import Levels

__all__ = [
    'LAWS',
    'KnownValue',
    'Law',
    'LawBroken',
    'LossCase',
    'applicable',
    'broken_laws',
    'pair',
    'pyramid',
]

_HALVES = (torch.float16, torch.bfloat16)


class LawBroken(AssertionError):
    """A loss does not obey a law; names the case, what was found, what to fix."""


@dataclass(frozen=True)
class KnownValue:
    """A value of the loss at weight 1, from hand, paper or an independent library.

    Args:
        student: Student's side, as nested lists or a tensor; a tuple of these is a
            pyramid.
        teacher: Teacher's side.
        value: What the loss is, with the reduction of the case.
        source: Where the value is from.
        extras: What else the loss takes.
    """

    student: Any
    teacher: Any
    value: float
    source: str
    extras: Mapping[str, Any] = field(default_factory=dict)


def pair(
    *shape: int, teacher: Sequence[int] | None = None
) -> Callable[[torch.Generator], tuple[Levels, Levels]]:
    """Returns inputs of normal noise.

    Args:
        *shape: Shape of the student's side.
        teacher: Shape of the teacher's, when it differs.

    Examples:
        >>> student, teacher = pair(2, 3)(torch.Generator())
        >>> student.shape, teacher.shape
        (torch.Size([2, 3]), torch.Size([2, 3]))
    """

    def draw(generator: torch.Generator) -> tuple[Levels, Levels]:
        return (
            torch.randn(shape, generator=generator),
            torch.randn(tuple(teacher or shape), generator=generator),
        )

    return draw


def pyramid(
    *shapes: Sequence[int],
) -> Callable[[torch.Generator], tuple[Levels, Levels]]:
    """Returns inputs of normal noise, with one level for each of ``shapes``."""

    def draw(generator: torch.Generator) -> tuple[Levels, Levels]:
        return tuple(
            tuple(torch.randn(tuple(shape), generator=generator) for shape in shapes)
            for _ in range(2)
        )  # type: ignore[return-value]

    return draw


def _no_extras(generator: torch.Generator) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True)
class LossCase:
    """How to build one loss for the laws, and what holds for it in particular.

    Args:
        build: The class, or a function that takes the same keyword arguments.
        arguments: Arguments of the method.
        inputs: Draws student's and teacher's side from a generator, see `pair` and
            `pyramid`. Keep them small: gradients are checked numerically.
        extras: Draws what else the loss takes, such as ``data_samples``. Tensors and
            lists as long as the batch are read as one entry an image.
        temperature: Name of an argument for which
            ``L(tau; S, T) = tau**2 L(1; S / tau, T / tau)``.
        invariances: Changes of the student's side by name that must not change the
            loss, such as a constant added to each channel.
        values: Values known from elsewhere.
        free_axes: Axes along which both sides may differ.
        joint: The levels of a pyramid are compared with each other, so no law takes one
            of them alone; name ``pyramids_sum_over_levels`` in ``exempt``.
        exempt: Laws that do not hold for this loss, each with the reason.
        name: Told apart by this, where the arguments do not do it.

    Raises:
        ConfigError: ``exempt`` names no law, or gives no reason.
    """

    build: Callable[..., PairLoss]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    inputs: Callable[[torch.Generator], tuple[Levels, Levels]] = pair(2, 3, 4, 5)
    extras: Callable[[torch.Generator], Mapping[str, Any]] = _no_extras
    temperature: str | None = None
    invariances: Mapping[str, Callable[[Tensor], Tensor]] = field(default_factory=dict)
    values: Sequence[KnownValue] = ()
    free_axes: Sequence[int] = ()
    joint: bool = False
    exempt: Mapping[str, str] = field(default_factory=dict)
    name: str = ''

    def __post_init__(self) -> None:
        names = [law.name for law in LAWS]
        for name, reason in self.exempt.items():
            if name not in names:
                raise ConfigError(
                    f'`exempt` of {self} names {name!r}, which is no law.'
                    f'{did_you_mean(name, names)}'
                )
            if not reason:
                raise ConfigError(f'`exempt` of {self} gives no reason for {name!r}.')

    def __str__(self) -> str:
        arguments = ', '.join(f'{k}={v!r}' for k, v in self.arguments.items())
        label = getattr(self.build, '__name__', repr(self.build))
        return f'{label}({arguments})' + (f'-{self.name}' if self.name else '')

    def loss(self, seed: int = 0, **policy: Any) -> PairLoss:
        """Builds the loss in float64; its parameters depend on ``seed`` alone."""
        torch.manual_seed(seed)
        return self.build(**{**self.arguments, **policy}).double()

    def draw(self, seed: int = 0) -> _Batch:
        """Draws inputs in float64; they depend on ``seed`` alone."""
        generator = torch.Generator().manual_seed(seed)
        student, teacher = self.inputs(generator)
        return _Batch(student, teacher, self.extras(generator)).map(Tensor.double)

    def value(self, batch: _Batch, **policy: Any) -> Tensor:
        """Returns the loss of a batch, from a newly built loss."""
        return _evaluate(self.loss(**policy), batch)


class _Batch(NamedTuple):
    """Both sides and what else a loss takes."""

    student: Levels
    teacher: Levels
    extras: Mapping[str, Any]

    def map(self, change: Callable[[Tensor], Tensor]) -> _Batch:
        """Changes both sides."""
        return self._replace(
            student=_each(self.student, change), teacher=_each(self.teacher, change)
        )

    def leaves(self) -> _Batch:
        """Returns it with both sides as new leaves of a graph."""
        return self.map(
            lambda x: (
                x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
            )
        )

    def first_level(self) -> _Batch:
        """Returns the batch of the first level alone."""
        return self._replace(
            student=_levels(self.student)[0], teacher=_levels(self.teacher)[0]
        )


def _levels(side: Levels) -> list[Tensor]:
    return [side] if isinstance(side, Tensor) else list(side)


def _each(side: Levels, change: Callable[[Tensor], Tensor]) -> Levels:
    if isinstance(side, Tensor):
        return change(side)
    return tuple(change(level) for level in side)


def _times(
    factor: float, dtype: torch.dtype = torch.float64
) -> Callable[[Tensor], Tensor]:
    def change(x: Tensor) -> Tensor:
        return (factor * x).to(dtype)

    return change


def _evaluate(loss: PairLoss, batch: _Batch) -> Tensor:
    # losses may draw random numbers; every evaluation draws the same
    torch.manual_seed(0)
    return loss(batch.student, batch.teacher, **batch.extras)


def _gradients(side: Levels) -> list[Tensor | None]:
    return [level.grad for level in _levels(side)]


def _require(holds: bool, case: LossCase, found: str) -> None:
    if not holds:
        raise LawBroken(f'{case}: {found}')


def _require_close(
    case: LossCase, found: Tensor, wanted: Tensor, what: str, *, tolerance: float = 1e-9
) -> None:
    close = found.shape == wanted.shape and torch.allclose(
        found.double(), wanted.double(), rtol=tolerance, atol=tolerance
    )
    _require(close, case, f'{what}: {found.tolist()} instead of {wanted.tolist()}.')


# ---- the laws ---------------------------------------------------------------------


def _scalar_and_finite(case: LossCase) -> None:
    value = _evaluate(case.loss().float(), case.draw().map(Tensor.float))
    _require(
        value.dim() == 0,
        case,
        f'the loss has shape {tuple(value.shape)}; reduce it to one number.',
    )
    _require(bool(value.isfinite()), case, f'the loss is {value.item()}.')
    _require(value.dtype == torch.float32, case, f'float32 inputs gave {value.dtype}.')


def _gradient_reaches_the_student_only(case: LossCase) -> None:
    batch = case.draw().leaves()
    case.value(batch).backward()
    for level, gradient in enumerate(_gradients(batch.student)):
        _require(
            gradient is not None
            and bool(gradient.isfinite().all())
            and bool(gradient.any()),
            case,
            f'no gradient reaches level {level} of the student.',
        )
    _require(
        not any(g is not None for g in _gradients(batch.teacher)),
        case,
        'a gradient reaches the detached teacher.',
    )


def _teacher_detach_is_a_choice(case: LossCase) -> None:
    batch = case.draw().leaves()
    case.value(batch, teacher_detach=False).backward()
    _require(
        all(g is not None and bool(g.any()) for g in _gradients(batch.teacher)),
        case,
        'with teacher_detach=False no gradient reaches the teacher, so the '
        'option does nothing.',
    )


def _linear_in_loss_weight(case: LossCase) -> None:
    batch = case.draw()
    one = case.value(batch, loss_weight=1.0)
    for weight in (0.0, 2.5):
        _require_close(
            case,
            case.value(batch, loss_weight=weight),
            weight * one,
            f'loss_weight={weight}',
        )


def _memory_format_does_not_matter(case: LossCase) -> None:
    def run(layout: Callable[[Tensor], Tensor]) -> tuple[Tensor, list[Tensor]]:
        batch = case.draw().leaves()
        value = case.value(batch.map(layout))
        value.backward()
        return value, [
            level.grad for level in _levels(batch.student) if level.grad is not None
        ]

    value, gradients = run(lambda x: x)
    for name, layout in _LAYOUTS.items():
        other, others = run(layout)
        _require_close(case, other, value, f'{name} inputs')
        for found, wanted in zip(others, gradients):
            _require_close(case, found, wanted, f'gradient of {name} inputs')


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x


_LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    'channels_last': _channels_last,
    'transposed': lambda x: x.transpose(0, -1).contiguous().transpose(0, -1),
    'strided': lambda x: torch.stack([x, x + 1], -1)[..., 0],
}


def _half_inputs_stay_finite(case: LossCase) -> None:
    loss = case.loss().float()
    for dtype in _HALVES:
        # 1000 squared is beyond float16
        for scale in (1e3, 1.0):
            batch = case.draw().map(_times(scale, dtype)).leaves()
            value = _evaluate(copy.deepcopy(loss), batch)
            _require(
                bool(value.isfinite()),
                case,
                f'{dtype} inputs of about {scale:g} gave {value.item()}.',
            )
            _require(
                value.dtype == torch.float32,
                case,
                f'{dtype} inputs gave a '
                f'{value.dtype} loss, which lost digits; compute in float32.',
            )
            exact = _evaluate(copy.deepcopy(loss), batch.map(Tensor.float))
            _require_close(case, value, exact, f'{dtype} inputs', tolerance=1e-6)
        batch = case.draw().map(_times(1.0, dtype)).leaves()
        _evaluate(copy.deepcopy(loss), batch).backward()
        _require(
            all(
                g is not None and bool(g.isfinite().all())
                for g in _gradients(batch.student)
            ),
            case,
            f'{dtype} inputs gave a gradient that is not finite.',
        )


def _autocast_computes_in_float32(case: LossCase) -> None:
    for dtype in (torch.float32, torch.bfloat16):
        batch = case.draw().map(_times(1.0, dtype))
        exact = _evaluate(case.loss().float(), batch)
        with torch.autocast('cpu', torch.bfloat16):
            value = _evaluate(case.loss().float(), batch)
        _require(
            value.dtype == torch.float32,
            case,
            f'under autocast the loss is {value.dtype}.',
        )
        _require_close(
            case, value, exact, f'{dtype} inputs under autocast', tolerance=1e-6
        )


def _reductions_agree(case: LossCase) -> None:
    batch = case.draw() if case.joint else case.draw().first_level()
    size = _levels(batch.student)[0].shape[0]
    items = case.value(batch, reduction='none', loss_weight=1.5)
    _require(
        items.dim() > 0 and items.shape[0] == size,
        case,
        f"reduction='none' gave {tuple(items.shape)}; the first axis must be the "
        f'batch of {size}.',
    )
    for name, wanted in (
        ('sum', items.sum()),
        ('mean', items.mean()),
        ('batchmean', items.sum() / size),
    ):
        _require_close(
            case,
            case.value(batch, reduction=name, loss_weight=1.5),
            wanted,
            f'reduction={name!r} does not agree with the items',
        )


def _unknown_reduction_suggests(case: LossCase) -> None:
    try:
        case.loss(reduction='bachmean')
    except ConfigError as error:
        _require(
            '`batchmean`' in str(error),
            case,
            f'the message does not suggest `batchmean`: {error}',
        )
    else:
        _require(False, case, "reduction='bachmean' was taken.")


def _gradients_are_right(case: LossCase) -> None:
    batch = case.draw().leaves()
    single = isinstance(batch.student, Tensor)

    def run(*student: Tensor) -> Tensor:
        return case.value(batch._replace(student=student[0] if single else student))

    try:
        torch.autograd.gradcheck(run, tuple(_levels(batch.student)))
    except GradcheckError as error:
        raise LawBroken(f'{case}: {error}') from error


def _batch_order_does_not_matter(case: LossCase) -> None:
    batch = case.draw()
    size = _levels(batch.student)[0].shape[0]
    order = [*range(1, size), 0]
    extras = {name: _reordered(value, order) for name, value in batch.extras.items()}
    turned = batch.map(lambda x: x[order])._replace(extras=extras)
    _require_close(
        case, case.value(turned), case.value(batch), f'images in the order {order}'
    )


def _reordered(value: Any, order: list[int]) -> Any:
    if isinstance(value, Tensor) and value.dim() and value.shape[0] == len(order):
        return value[order]
    if isinstance(value, (list, tuple)) and len(value) == len(order):
        return type(value)(value[i] for i in order)
    return value


def _zero_at_equality(case: LossCase) -> None:
    batch = case.draw()
    apart = case.value(batch)
    _require(
        bool(apart > 0),
        case,
        f'sides that differ gave {apart.item()}; a loss is positive there.',
    )
    equal = case.value(batch._replace(student=batch.teacher))
    _require_close(case, equal, torch.zeros_like(equal), 'equal sides')


def _mismatched_shapes_raise(case: LossCase) -> None:
    batch = case.draw() if case.joint else case.draw().first_level()
    student, *others = _levels(batch.student)
    teacher = _levels(batch.teacher)[0]

    def refuses(wrong: Tensor) -> None:
        one = (wrong, *others) if case.joint else wrong
        _require_shape_error(case, batch._replace(student=one))

    for axis in [a for a in range(student.dim()) if a not in case.free_axes]:
        one = student.narrow(axis, 0, 1)
        # an axis of 1 would be stretched silently
        for wrong in (torch.cat([student, one], axis), one):
            if wrong.shape[axis] != teacher.shape[axis]:
                refuses(wrong)
    refuses(student.unsqueeze(-1))


def _require_shape_error(case: LossCase, batch: _Batch) -> None:
    shapes = ' and '.join(
        str([tuple(x.shape) for x in _levels(side)])
        for side in (batch.student, batch.teacher)
    )
    try:
        value = case.value(batch)
    except ShapeError:
        return
    except Exception as error:
        raise LawBroken(
            f'{case}: sides of {shapes} raised {type(error).__name__} '
            'instead of `ShapeError`; see `check_shapes`.'
        ) from error
    _require(False, case, f'sides of {shapes} gave {value.item()}; raise `ShapeError`.')


def _pyramids_sum_over_levels(case: LossCase) -> None:
    first, second = case.draw(0), case.draw(1)
    whole = first._replace(
        student=(*_levels(first.student), *_levels(second.student)),
        teacher=[*_levels(first.teacher), *_levels(second.teacher)],
    )
    parts = [
        case.value(first._replace(student=s, teacher=t))
        for s, t in zip(whole.student, whole.teacher)
    ]
    _require_close(case, case.value(whole), torch.stack(parts).sum(), 'a pyramid')
    for student, teacher in (
        (whole.student[:1], whole.teacher),
        ((), ()),
        (whole.student, whole.teacher[0]),
    ):
        _require_shape_error(case, whole._replace(student=student, teacher=teacher))


def _state_dict_resumes(case: LossCase) -> None:
    loss, resumed = case.loss(seed=0), case.loss(seed=1)
    _evaluate(loss, case.draw(0))
    resumed.load_state_dict(copy.deepcopy(loss.state_dict()))
    batch = case.draw(1)
    _require_close(
        case,
        _evaluate(resumed, batch),
        _evaluate(loss, batch),
        'the step after loading a state dict; keep state in buffers',
    )


def _deepcopy_is_independent(case: LossCase) -> None:
    loss = case.loss()
    _evaluate(loss, case.draw(0).leaves())
    twin = copy.deepcopy(loss)
    shared = {x.data_ptr() for x in loss.state_dict().values()} & {
        x.data_ptr() for x in twin.state_dict().values()
    } - {0}
    _require(not shared, case, 'a deepcopy shares tensors with the original.')
    batch = case.draw(1)
    _require_close(case, _evaluate(twin, batch), _evaluate(loss, batch), 'a deepcopy')


def _inputs_stay_untouched(case: LossCase) -> None:
    batch = case.draw()
    before = batch.map(Tensor.clone)
    with torch.no_grad():
        case.value(batch)
    for name in ('student', 'teacher'):
        for found, wanted in zip(
            _levels(getattr(batch, name)), _levels(getattr(before, name))
        ):
            _require(
                torch.equal(found, wanted), case, f'the {name} was changed in place.'
            )


def _temperature_scales(case: LossCase) -> None:
    if case.temperature is None:
        return
    batch = case.draw()
    cool = {case.temperature: 1.0}
    for tau in (0.5, 4.0):
        found = case.value(batch, **{case.temperature: tau})
        wanted = tau**2 * case.value(batch.map(_times(1 / tau)), **cool)
        _require_close(case, found, wanted, f'{case.temperature}={tau}')


def _invariances_hold(case: LossCase) -> None:
    batch = case.draw()
    value = case.value(batch)
    for name, change in case.invariances.items():
        changed = batch._replace(student=_each(batch.student, change))
        _require_close(case, case.value(changed), value, name)


def _known_values_hold(case: LossCase) -> None:
    for known in case.values:
        batch = _Batch(_given(known.student), _given(known.teacher), known.extras)
        wanted = torch.tensor(known.value, dtype=torch.float64)
        _require_close(case, case.value(batch, loss_weight=1.0), wanted, known.source)


def _given(side: Any) -> Levels:
    """Returns a side of a `KnownValue` as tensors."""
    if isinstance(side, tuple):
        return tuple(torch.as_tensor(level, dtype=torch.float64) for level in side)
    return torch.as_tensor(side, dtype=torch.float64)


class Law(NamedTuple):
    """A law: its name, and a function that raises `LawBroken` where it fails."""

    name: str
    check: Callable[[LossCase], None]

    def __str__(self) -> str:
        return self.name


LAWS: tuple[Law, ...] = tuple(
    Law(check.__name__.lstrip('_'), check)
    for check in (
        _scalar_and_finite,
        _gradient_reaches_the_student_only,
        _teacher_detach_is_a_choice,
        _linear_in_loss_weight,
        _memory_format_does_not_matter,
        _half_inputs_stay_finite,
        _autocast_computes_in_float32,
        _reductions_agree,
        _unknown_reduction_suggests,
        _gradients_are_right,
        _batch_order_does_not_matter,
        _zero_at_equality,
        _mismatched_shapes_raise,
        _pyramids_sum_over_levels,
        _state_dict_resumes,
        _deepcopy_is_independent,
        _inputs_stay_untouched,
        _temperature_scales,
        _invariances_hold,
        _known_values_hold,
    )
)
"""All laws, in the order in which a new loss meets them best."""


def applicable(cases: Sequence[LossCase]) -> list[tuple[Law, LossCase]]:
    """Pairs each case with the laws from which it is not exempt."""
    return [
        (law, case) for case in cases for law in LAWS if law.name not in case.exempt
    ]


def broken_laws(case: LossCase) -> dict[str, str]:
    """Returns the laws that a case breaks, exempt or not, and what was found.

    Examples:
        >>> from mmkd_ext.methods import CWDLoss
        >>> broken_laws(LossCase(CWDLoss))
        {}
    """
    found = {law.name: _offence(law, case) for law in LAWS}
    return {name: offence for name, offence in found.items() if offence}


def _offence(law: Law, case: LossCase) -> str:
    try:
        law.check(case)
    except Exception as error:
        return f'{type(error).__name__}: {error}'
    return ''
