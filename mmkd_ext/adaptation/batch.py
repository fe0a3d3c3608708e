"""Input and output of one adaptation step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mmkd_ext.adaptation.originals import Original

__all__ = ['Batch', 'PassCounter', 'Skip', 'StepResult', 'StepState', 'Update']


@dataclass
class StepState:
    """State of a method within one step; empty here."""


@dataclass
class Batch:
    """The images of one step, usually one; never with ground truth.

    Args:
        inputs: Normalised images ``(n c h w)``.
        samples: Their data samples, with meta information alone.
        domain: Name of the domain, which only methods with known domains may read.
        step: Number of steps before this one.
        originals: The pictures as they were before the pipeline resized them, one an
            image, where the samples have them; see `mmkd_ext.KeepOriginal`.
        scores: Prediction ``(n k h w)`` at the size of `inputs`, once it is made.
        answer: What is reported instead, where a guard has the source answer.
        logits: The same as logits with their graph, where prediction and loss share one
            forward pass (`AdaptDistiller.shares_forward`); else None.
        state: What the method keeps from one part of the step for the next: an instance
            of its `AdaptDistiller.step_state`.
    """

    inputs: Tensor
    samples: list[Any]
    domain: str | None = None
    step: int = 0
    originals: Sequence[Original] | None = None
    scores: Tensor | None = None
    answer: Tensor | None = None
    logits: Tensor | None = None
    state: Any = field(default_factory=StepState)


@dataclass(frozen=True)
class Skip:
    """Instead of losses: this image updates nothing.

    Args:
        reason: Why, for the log.
    """

    reason: str


@dataclass
class Update:
    """The outcome of the updates on one image.

    Args:
        steps: Updates made.
        losses: Last values of the terms.
        skipped: Why an update was left out, or nothing.
        reset: Why all is to go back to the source after the last update, or nothing.
    """

    steps: int = 0
    losses: dict[str, float] = field(default_factory=dict)
    skipped: str = ''
    reset: str = ''


@dataclass
class PassCounter:
    """Counts passes over the network, in passes over the image at its own size.

    A view of half the height and width counts a quarter.

    Args:
        native: Numbers in the input of one step.
        forwards: Forward passes.
        backwards: Backward passes.
        pending: Forward passes with a graph that no backward pass has used yet.
    """

    native: int = 1
    forwards: float = 0.0
    backwards: float = 0.0
    pending: float = 0.0

    def forward(self, inputs: Tensor, *, graph: bool) -> None:
        """Counts a forward pass, which has a graph or not."""
        share = inputs.numel() / self.native
        self.forwards += share
        if graph:
            self.pending += share

    def backward(self) -> None:
        """Counts the backward pass through all graphs that are pending."""
        self.backwards += self.pending
        self.pending = 0.0


@dataclass
class StepResult:
    """Result of `ContinualAdaptation.adapt_step`.

    Args:
        data_samples: The predictions.
        losses: Terms of the loss, none where nothing was updated.
        counts: ``updates``, ``skipped``, ``resets``, and the passes
            ``forwards`` and ``backwards``.
        events: What the guard and the checks did: dicts of ``action``, ``reason`` and
            ``signals``.
        signals: What the guard saw, for the timeline.
        seconds: Time of the step.
    """

    data_samples: list[Any]
    losses: dict[str, float] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    signals: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
