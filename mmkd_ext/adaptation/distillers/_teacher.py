"""Base class of methods that predict with an EMA teacher."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch

from mmkd_ext.adaptation.distillers._base import AdaptDistiller
from mmkd_ext.adaptation.ema import EMATeacher
from mmkd_ext.adaptation.mixing import AutoMixing, build_mixing
from mmkd_ext.adaptation.norms import batch_norms, require_batch_norm
from mmkd_ext.adaptation.pseudo_labels import log_probabilities
from mmkd_ext.adaptation.views import mean_probabilities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from mmkd_ext.adaptation.batch import Batch
    from mmkd_ext.adaptation.mixing import Mixing
    from mmkd_ext.adaptation.originals import Original
    from mmkd_ext.adaptation.randomness import SeededGenerator

__all__ = ['TeacherDistiller']


class TeacherDistiller(AdaptDistiller):
    """Predicts with a teacher that follows the student after each update.

    What is reported are the teacher's logits of the image, or the logarithm of the mean
    of its probabilities over several views; methods override `teacher_predict`.

    Args:
        decay: Decay of the average: the share of the teacher that an update keeps.
        buffers: How its running statistics follow, see `EMATeacher`.
        mixing: Share of the picture's statistics in batch normalisation, of student
            and teacher: 0 for the source's alone, to 1; ``'auto'`` finds it, see
            `AutoMixing`.
        **common: See `AdaptDistiller`.
    """

    def __init__(
        self,
        decay: float = 0.999,
        buffers: str = 'copy',
        *,
        mixing: Mixing = 0.0,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.decay, self.buffers_are = decay, buffers
        self.mixing = build_mixing(mixing)

    def prepare(self, student: nn.Module, source: nn.Module) -> None:
        """Builds the teacher as a copy of the student."""
        super().prepare(student, source)
        if isinstance(self.mixing, AutoMixing) and not batch_norms(student):
            self.mixing = 0.0
        if self.mixing != 0:
            require_batch_norm(student, type(self).__name__)
            self.mix(student)
        self.teacher = EMATeacher(student, decay=self.decay, buffers=self.buffers_are)

    def reset(self) -> None:
        """Resets the teacher to the source."""
        super().reset()
        self.teacher.reset(self.source)

    @property
    def predictor(self) -> nn.Module:
        """The teacher."""
        return self.teacher.module

    def forward(
        self, inputs: Tensor, originals: Sequence[Original] | None = None
    ) -> Tensor:
        """Returns the teacher's scores ``(n k h w)``, changing nothing."""
        # random views are drawn, but the stream does not notice
        return self.teacher_predict(
            inputs, copy.deepcopy(self.view_generator), originals
        )

    def predict(self, batch: Batch) -> Tensor:
        """Returns the teacher's scores for a batch of the stream."""
        return self.teacher_predict(batch.inputs, self.view_generator, batch.originals)

    def teacher_predict(
        self,
        inputs: Tensor,
        generator: SeededGenerator,
        originals: Sequence[Original] | None = None,
    ) -> Tensor:
        """Returns the teacher's scores ``(n k h w)``.

        Args:
            inputs: Images ``(n c h w)``.
            generator: Of random views.
            originals: What scaled views are made from, see `View.apply`.
        """
        views = self.views_of(inputs)
        if all(view.is_identity for view in views):
            return self.run(self.predictor, inputs)

        def ask(view: Tensor) -> Tensor:
            return self.run(self.predictor, view)

        mean = mean_probabilities(ask, inputs, views, generator, originals)
        return log_probabilities(mean)

    def reported(self, batch: Batch) -> Tensor:
        """Returns the reported scores; makes them if adaptation comes first."""
        if batch.scores is None:
            with torch.no_grad():
                batch.scores = self.predict(batch)
        return batch.scores

    def after_update(self, batch: Batch) -> None:
        """Updates the teacher."""
        del batch
        self.teacher.update(self.student)

    def describe(self) -> dict[str, Any]:
        """Returns its settings for the result file."""
        own = {'decay': self.decay, 'buffers': self.buffers_are}
        return {**super().describe(), **own}
