"""Base class of guards against collapse, and their decisions."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mmengine.model import BaseModule

from mmkd_ext.errors import check_choice

if TYPE_CHECKING:
    from torch import Tensor

    from mmkd_ext.adaptation.batch import Batch

__all__ = ['ACTIONS', 'AdaptGuard', 'Decision']

#: What a decision may ask for, from mild to strong.
ACTIONS = ('continue', 'skip', 'reset')


@dataclass(frozen=True)
class Decision:
    """The decision of a guard about one image.

    Args:
        action: ``'continue'`` updates; ``'skip'`` does not; ``'reset'`` returns to the
            source and does not update.
        reason: Why, for the log.
        signals: What the guard saw; goes into the event and the timeline.
        answer: Whether the source's prediction, if it was made, is reported.
    """

    action: str = 'continue'
    reason: str = ''
    signals: dict[str, float] = field(default_factory=dict)
    answer: bool = False

    def __post_init__(self) -> None:
        check_choice('action', self.action, ACTIONS)


class AdaptGuard(BaseModule):
    """Base of guards: looks at each prediction before the student is updated.

    Its whole state is in buffers or extra state, so that a resumed stream is guarded as
    if it had never stopped.
    """

    #: Whether the next `decide` wants the source model's prediction: one more forward
    #: pass. A guard may change it from image to image.
    needs_source = False
    #: How the source is normalised: as the ``'method'`` normalises its student, or with
    #: its own statistics, ``'source'``.
    source_norm = 'method'

    def source_inputs(self, inputs: Tensor) -> Tensor:
        """Returns the images as the source is to see them, possibly smaller."""
        return inputs

    @abstractmethod
    def decide(
        self, batch: Batch, scores: Tensor, source_scores: Tensor | None
    ) -> Decision:
        """Returns what to do with one image.

        Args:
            batch: The images.
            scores: The prediction ``(n k h w)``, without gradients.
            source_scores: The source model's logits for `source_inputs`, if
                `needs_source`.
        """

    @abstractmethod
    def reset(self) -> None:
        """Resets the guard, at the start of a stream."""

    def describe(self) -> dict[str, Any]:
        """Returns its settings for the result file."""
        return {'type': type(self).__name__}
