"""Base class of all methods of test-time adaptation."""

from __future__ import annotations

import math
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from mmengine.model import BaseModule
from mmengine.optim import AmpOptimWrapper
from torch import Tensor, nn

from mmkd_ext.adaptation.batch import PassCounter, Skip, StepState, Update
from mmkd_ext.adaptation.filters import PixelFilter
from mmkd_ext.adaptation.mixing import AutoMixing
from mmkd_ext.adaptation.norms import use_adaptive_norms
from mmkd_ext.adaptation.randomness import SeededGenerator, generators_of
from mmkd_ext.adaptation.restore import StochasticRestore
from mmkd_ext.adaptation.segment import image_logits, uses_slide
from mmkd_ext.adaptation.trainable import select_parameters
from mmkd_ext.adaptation.views import MIN_VIEW_SIDE, bounded_views, build_views
from mmkd_ext.errors import check_choice, check_integer
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from mmengine.optim import OptimWrapper
    from torch.nn import Parameter

    from mmkd_ext.adaptation.batch import Batch
    from mmkd_ext.adaptation.originals import Original
    from mmkd_ext.adaptation.trainable import Trainable
    from mmkd_ext.adaptation.views import View, ViewConfig

__all__ = ['ORDERS', 'AdaptDistiller']

ORDERS = ('predict_then_adapt', 'adapt_then_predict')


class AdaptDistiller(BaseModule):
    """Adapts a student to one image after another, without labels.

    A step is `predict`, `update`, `after`. A method fills in `compute_losses`, which
    `update` calls, and where it needs to `prepare`, `reset`, `forward` or `predict`,
    `after_update` and `after`. Everything that it keeps beyond a step is a module, a
    buffer, or extra state of one, so that a state dict holds all of it; what it keeps
    within one is a `StepState`. `student` and `source` are there from `prepare` on and
    are in no state dict of this class.

    The student is in eval mode throughout: no dropout, no drop path, running
    statistics. A method with other statistics sets `mixing` and calls `mix` in
    `prepare`.

    Args:
        trainable: What is adapted: ``'norm'``, ``'all'``, or patterns of names.
        steps: Updates on each image.
        order: ``'predict_then_adapt'``, or ``'adapt_then_predict'``, which adapts to
            each image before it predicts it.
        views: Augmented views, see `build_views`.
        min_view_side: Shorter side in pixels below which no view is shrunk, see
            `bounded_views`; 1 for no bound.
        filter: Config of a module that maps logits ``(n k h w)`` to the pixels that
            count: a mask or weights ``(n h w)``.
        restore: Probability with which a trained weight goes back to the source after
            each update.
        init_cfg: See mmengine's ``BaseModule``.
    """

    #: Whether the method updates weights, and so needs an optimizer.
    trains: ClassVar[bool] = True
    #: Whether its losses need the logits of the prediction, with their graph.
    shares_forward: ClassVar[bool] = False
    #: What it keeps from one part of a step for the next; each step has a new one.
    step_state: ClassVar[type[StepState]] = StepState
    #: Attributes of the class alone that the result file names.
    settings: ClassVar[tuple[str, ...]] = ()
    #: Share of the picture's statistics in batch normalisation, or the search for it.
    mixing: float | AutoMixing

    student: nn.Module
    source: nn.Module

    def __init__(
        self,
        *,
        trainable: Trainable = 'norm',
        steps: int = 1,
        order: str = 'predict_then_adapt',
        views: ViewConfig = None,
        min_view_side: int = MIN_VIEW_SIDE,
        filter: Mapping[str, Any] | None = None,
        restore: float = 0.0,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_integer('steps', steps, ge=1)
        check_choice('order', order, ORDERS)
        self.trainable = trainable
        self.steps = steps
        self.order = order
        check_integer('min_view_side', min_view_side, ge=1)
        self.views, self.min_view_side = build_views(views), min_view_side
        self.filter = None if filter is None else MODELS.build(dict(filter))
        self.restore = StochasticRestore(restore)
        self.view_generator = SeededGenerator()
        self.passes = PassCounter()
        self.mixing = 0.0
        self._precision: Callable[[], AbstractContextManager[None]] = nullcontext

    # ---- to be implemented --------------------------------------------------------

    def prepare(self, student: nn.Module, source: nn.Module) -> None:
        """Builds what depends on the network; called once, before weights are loaded.

        Call ``super().prepare(student, source)`` first.

        Args:
            student: The model to adapt.
            source: Its frozen twin, whose weights are the source's from `reset` on.
        """
        # past `nn.Module.__setattr__`: they are the algorithm's, not this module's
        self.__dict__.update(student=student, source=source)
        self._trained: dict[str, Parameter] = {}
        self._originals: dict[str, Parameter] = {}

    def reset(self) -> None:
        """Resets the method; student and source hold the source's weights.

        Called when a stream starts, and at each reset within it. Random generators
        keep their state. Call ``super().reset()`` first.
        """
        if isinstance(self.filter, PixelFilter):
            self.filter.reset()

    def forward(
        self, inputs: Tensor, originals: Sequence[Original] | None = None
    ) -> Tensor:
        """Returns scores ``(n k h w)`` at the size of the images, changing nothing.

        Logits, or anything else whose resized maximum is the class (log-probabilities
        of several views).

        Args:
            inputs: Images ``(n c h w)``.
            originals: What scaled views are made from, see `View.apply`.
        """
        del originals
        return self.run(self.predictor, inputs)

    def predict(self, batch: Batch) -> Tensor:
        """Returns the scores that are reported for a batch of the stream.

        Unlike `forward` it may keep things, in ``batch.state`` for the losses or in
        buffers. Gradients are on only where `shares_forward` holds.
        """
        return self(batch.inputs, batch.originals)

    def compute_losses(self, batch: Batch) -> dict[str, Tensor] | Skip:
        """Returns the terms of the loss, or why there is none; gradients are on.

        Names contain ``loss``. `first_logits` gives the student's logits.
        """
        del batch
        raise NotImplementedError(
            f'`{type(self).__name__}` trains and so must have `compute_losses`.'
        )

    def wants_reset(self) -> str:
        """Returns a reason to reset to the source after an update, or nothing."""
        return ''

    def after_update(self, batch: Batch) -> None:
        """Is called after each update, before the restore: averages, restarts."""

    def after(self, batch: Batch, update: Update) -> None:
        """Is called once after each image, updated or not: prototypes, replay."""

    def describe(self) -> dict[str, Any]:
        """Returns its settings for the result file."""
        kinds = reversed(type(self).__mro__)
        names = [n for kind in kinds for n in vars(kind).get('settings', ())]
        return {
            'trainable': self.trainable if self.trains else None,
            'steps': self.steps,
            'protocol': self.order,
            'views': [view.describe() for view in self.views],
            'min_view_side': self.min_view_side,
            'filter': None if self.filter is None else type(self.filter).__name__,
            'restore': self.restore.p,
            **{name: _described(getattr(self, name)) for name in ('mixing', *names)},
        }

    def report(self) -> dict[str, Any]:
        """Returns ``prototypes`` and ``buffer`` for the result file, if there are."""
        return {}

    # ---- helpers for methods ------------------------------------------------------

    @property
    def predictor(self) -> nn.Module:
        """The model whose predictions are reported; a teacher overrides this."""
        return self.student

    def run(self, model: nn.Module, inputs: Tensor, *, whole: bool = False) -> Tensor:
        """Returns logits ``(n k h w)`` of one of the models, and counts the pass.

        Args:
            model: Student, teacher or source.
            inputs: Images ``(n c h w)``, also several views of one size.
            whole: See `image_logits`; training passes are whole.
        """
        if isinstance(self.mixing, AutoMixing):
            self.mixing.apply_to(model)
        with self._precision():
            logits = image_logits(model, inputs, whole=whole)
        self.passes.forward(inputs, graph=logits.requires_grad)
        return logits

    def mix(self, student: nn.Module, *, keep: bool = False) -> None:
        """Lets the student's batch norms use `mixing`, see `AdaptiveBatchNorm`."""
        mixing = self.mixing
        share = mixing.value if isinstance(mixing, AutoMixing) else mixing
        use_adaptive_norms(student, share, keep=keep)

    @contextmanager
    def in_precision_of(self, optim_wrapper: OptimWrapper | None) -> Iterator[None]:
        """Runs all passes in the block in the precision of the optimizer wrapper.

        So under mixed precision student, teacher and source predict alike, whoever
        asks. None means full precision: for gradients that nobody scales.
        """
        before = self._precision
        self._precision = (
            nullcontext
            if optim_wrapper is None
            else partial(optim_wrapper.optim_context, self.student)
        )
        try:
            yield
        finally:
            self._precision = before

    def views_of(self, inputs: Tensor) -> tuple[View, ...]:
        """Returns the views that images of this size get, see `bounded_views`."""
        return bounded_views(self.views, inputs.shape[2:], self.min_view_side)

    def first_logits(self, batch: Batch) -> Tensor:
        """Returns the student's logits of the image itself, with gradients.

        The first update of an image takes those of the prediction where they are
        shared.
        """
        if batch.logits is not None:
            logits, batch.logits = batch.logits, None
            return logits
        return self.run(self.student, batch.inputs, whole=True)

    def selected(self, logits: Tensor) -> Tensor | None:
        """Returns which pixels the filter lets count ``(n h w)``; None for all."""
        if self.filter is None:
            return None
        weights: Tensor = self.filter(logits.detach())
        return weights

    def trained(self) -> dict[str, Parameter]:
        """Returns the parameters of the student that are adapted, by name."""
        if self.trains and not self._trained:
            # each image asks, and to look through a network takes a while
            self._trained = select_parameters(self.student, self.trainable)
        return self._trained

    @property
    def originals(self) -> dict[str, Parameter]:
        """The source's weights, by name."""
        self._originals = self._originals or dict(self.source.named_parameters())
        return self._originals

    def restore_weights(self) -> None:
        """Restores source weights among those that are adapted."""
        if self.restore.p > 0:
            self.restore(self.trained(), self.originals)

    # ---- called by the algorithm --------------------------------------------------

    @torch.no_grad()
    def before(self, inputs: Tensor, reference: Callable[[], nn.Module]) -> None:
        """Is called once before each image: finds its share of mixing, if it is to.

        Args:
            inputs: The images ``(n c h w)``.
            reference: Returns the source, normalised as the student is.
        """
        if isinstance(self.mixing, AutoMixing):
            self.mixing.look(self.run, reference(), inputs)

    def reseed(self, seed: int) -> None:
        """Seeds every `SeededGenerator` in here, each differently."""
        for number, generator in enumerate(generators_of(self)):
            generator.reseed(seed + 7919 * number)

    def can_share(self, optim_wrapper: OptimWrapper | None) -> bool:
        """Whether prediction and first loss are to share one forward pass."""
        return (
            self.shares_forward
            and self.trains
            and optim_wrapper is not None
            and not uses_slide(self.student)
        )

    def update(self, batch: Batch, optim_wrapper: OptimWrapper) -> Update:
        """Updates the student on one batch, `steps` times.

        A loss or gradient that is not finite leaves the weights as they are. Methods
        with two passes a step (SAR) override `take_step`.
        """
        done = Update()
        for _ in range(self.steps):
            with optim_wrapper.optim_context(self.student):
                losses = self.compute_losses(batch)
            if isinstance(losses, Skip):
                done.skipped = losses.reason
                break
            done.losses = values_of(losses)
            done.skipped = self.take_step(batch, losses, optim_wrapper)
            if done.skipped:
                break
            done.steps += 1
            done.reset = self.wants_reset()
            if done.reset:
                break
            self.after_update(batch)
            self.restore_weights()
        batch.logits = None
        self.passes.pending = 0.0
        return done

    def take_step(
        self, batch: Batch, losses: dict[str, Tensor], optim_wrapper: OptimWrapper
    ) -> str:
        """Makes one update; returns why it was left out, or nothing."""
        del batch
        problem = self.backward(losses, optim_wrapper)
        if problem:
            return problem
        if optim_wrapper.should_update():
            optim_wrapper.step()
            optim_wrapper.zero_grad()
        return ''

    def backward(self, losses: dict[str, Tensor], optim_wrapper: OptimWrapper) -> str:
        """Computes gradients; returns what is not finite, or nothing.

        Then the gradients are gone, with those that were accumulated before.
        """
        terms = {}
        for name, value in losses.items():
            if 'loss' in name:
                terms[name] = value.float().mean()
        total = torch.stack([*terms.values()]).sum()
        if not total.isfinite():
            bad = {k: v for k, v in values_of(terms).items() if not math.isfinite(v)}
            return 'not finite: ' + ', '.join(f'`{k}` is {v}' for k, v in bad.items())
        optim_wrapper.backward(optim_wrapper.scale_loss(total))
        self.passes.backward()
        # a gradient scaler looks for infinities itself, and learns from them
        if isinstance(optim_wrapper, AmpOptimWrapper):
            return ''
        if not _all_finite(self.trained().values()):
            optim_wrapper.zero_grad()
            return 'a gradient is not finite'
        return ''


def _described(value: Any) -> Any:
    part: Any = value  # a module's attributes are tensors, to a type checker
    return part.describe() if isinstance(value, (nn.Module, AutoMixing)) else value


def values_of(losses: Mapping[str, Tensor]) -> dict[str, float]:
    """Returns the values of the terms; waits for the device once."""
    if not losses:
        return {}
    stacked = torch.stack([value.detach().float().mean() for value in losses.values()])
    return dict(zip(losses, stacked.tolist()))


def _all_finite(parameters: Iterable[Parameter]) -> bool:
    """Whether all gradients are finite; waits for the device once."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    if not gradients:
        return True
    norms = map(Tensor.float, torch._foreach_norm(gradients))
    return bool(torch.stack([*norms]).isfinite().all())
