"""CoTTA: EMA teacher, averaged views, an anchor, and stochastic restore."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch

from mmkd_ext.adaptation.distillers._teacher import TeacherDistiller
from mmkd_ext.adaptation.pseudo_labels import (
    hard_cross_entropy,
    log_probabilities,
    weighted_mean,
)
from mmkd_ext.adaptation.views import mean_probabilities
from mmkd_ext.errors import check_choice, check_range
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mmkd_ext.adaptation.batch import Batch, Skip
    from mmkd_ext.adaptation.originals import Original
    from mmkd_ext.adaptation.randomness import SeededGenerator
    from mmkd_ext.adaptation.trainable import Trainable
    from mmkd_ext.adaptation.views import ViewConfig

__all__ = ['CoTTADistiller', 'choose_labels']


@MODELS.register_module()
class CoTTADistiller(TeacherDistiller):
    r"""Labels by an averaged teacher over averaged views, and restores weights.

    `Continual Test-Time Domain Adaptation, CVPR 2022
    <https://arxiv.org/abs/2203.13591>`_, as its code does it on ACDC. Where the source
    (the anchor) is sure, the teacher's class at the image's own scale is taken, else
    that of its mean over all views. This class is the reported prediction and the label
    that the student learns; then the teacher follows, and each weight goes back to the
    source's with a small probability.

    Where this differs from the authors' code:

    - The code asks the anchor for all 14 views and uses one; ``anchor_views='all'``
      spends that time too, for the same result.
    - The code restores parameters called `weight` and `bias`, which leaves out the
      `in_proj_weight` and `in_proj_bias` of attention, 18 % of a SegFormer-B5; here all
      that is trained is restored. ``restore_names='published'`` is their filter.
    - The code makes a new optimizer for each domain, and so knows the domains; here
      that is the loop's ``reset``.
    - Scaled views are made from the picture as it was loaded, as in the code, where the
      pipeline keeps it (`mmkd_ext.KeepOriginal`), else from the network's input.
    - No view is shrunk below `min_view_side`; the 14 of ACDC are not touched by it.
    - Between single view and mean is chosen at the size of the network's input, and the
      result resized as other scores are.

    Args:
        decay: What the teacher keeps of itself in an update.
        threshold: Confidence above which the source is sure.
        anchor_views: ``'single'`` or ``'all'``, see above.
        restore_names: ``'all'`` or ``'published'``, see above.
        buffers: What becomes of the teacher's running statistics, see `EMATeacher`;
            ``'keep'`` is what the code does, where no student's ever change.
        trainable: What is adapted, see `AdaptDistiller`.
        views: Views of the teacher, likewise; ``'cotta'`` are the 14 of the code.
        restore: Probability of the restore, likewise.
        **common: Likewise.
    """

    settings: ClassVar[tuple[str, ...]] = ('threshold', 'anchor_views', 'restore_names')

    def __init__(
        self,
        decay: float = 0.999,
        threshold: float = 0.69,
        anchor_views: str = 'single',
        restore_names: str = 'all',
        buffers: str = 'keep',
        *,
        trainable: Trainable = 'all',
        views: ViewConfig = 'cotta',
        restore: float = 0.01,
        **common: Any,
    ) -> None:
        super().__init__(
            decay, buffers, trainable=trainable, views=views, restore=restore, **common
        )
        check_range('threshold', threshold, ge=0, le=1)
        check_choice('anchor_views', anchor_views, ('single', 'all'))
        check_choice('restore_names', restore_names, ('all', 'published'))
        self.threshold = threshold
        self.anchor_views, self.restore_names = anchor_views, restore_names

    def teacher_predict(
        self,
        inputs: Tensor,
        generator: SeededGenerator,
        originals: Sequence[Original] | None = None,
    ) -> Tensor:
        """Returns log-probabilities ``(n k h w)`` whose maximum is CoTTA's class."""
        views = self.views_of(inputs)
        single: list[Tensor] = []

        def ask(view: Tensor) -> Tensor:
            logits = self.run(self.predictor, view)
            if view is inputs:
                # the image itself is one of the views: no second pass for it
                single.append(logits.softmax(1))
            return logits

        mean = mean_probabilities(ask, inputs, views, generator, originals)
        if not single:
            ask(inputs)
        anchor = self.run(self.source, inputs).softmax(1).amax(1)
        if self.anchor_views == 'all':
            for view in views:
                if not view.is_identity and not view.is_random:
                    self.run(self.source, view.apply(inputs, originals=originals))
        return log_probabilities(choose_labels(single[0], mean, anchor, self.threshold))

    def compute_losses(self, batch: Batch) -> dict[str, Tensor] | Skip:
        """Returns the cross entropy with the reported class."""
        scores = self.reported(batch)
        each = hard_cross_entropy(self.first_logits(batch), scores.argmax(1))
        return {'loss_ce': weighted_mean(each, self.selected(scores))}

    def restore_weights(self) -> None:
        """Restores source weights among those that are adapted, or published ones."""
        chosen = self.trained()
        if self.restore_names == 'published':
            names = ('weight', 'bias')
            chosen = {k: v for k, v in chosen.items() if k.split('.')[-1] in names}
        self.restore(chosen, self.originals)


def choose_labels(
    single: Tensor, mean: Tensor, anchor: Tensor, threshold: float
) -> Tensor:
    """Returns one view's probabilities where the anchor is sure, else the mean's.

    Args:
        single: Probabilities of the image itself ``(n k h w)``.
        mean: Mean of the probabilities over the views, likewise.
        anchor: Confidence of the anchor ``(n h w)``.
        threshold: What confidence must exceed.

    Examples:
        >>> single = torch.tensor([0.9, 0.1]).view(1, 2, 1, 1).expand(1, 2, 1, 2)
        >>> anchor = torch.tensor([[[0.69, 0.70]]])
        >>> choose_labels(single, 1 - single, anchor, 0.69).argmax(1)
        tensor([[[1, 0]]])
    """
    return torch.where((anchor > threshold).unsqueeze(1), single, mean)
