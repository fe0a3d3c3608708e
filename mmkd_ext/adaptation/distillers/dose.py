"""DoSe: self-distillation that knows the domain, with a replay of hard images."""

from __future__ import annotations

import inspect
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch

from mmkd_ext.adaptation.batch import Skip
from mmkd_ext.adaptation.bn_distance import PoolingRecorder, RelativeDistance
from mmkd_ext.adaptation.distillers._base import AdaptDistiller
from mmkd_ext.adaptation.ema import EMATeacher
from mmkd_ext.adaptation.norms import require_batch_norm, use_stream_norms
from mmkd_ext.adaptation.pixels import as_bytes, as_inputs
from mmkd_ext.adaptation.prototypes import DomainPrototypes
from mmkd_ext.adaptation.pseudo_labels import (
    IGNORE,
    hard_cross_entropy,
    hard_labels,
    soft_cross_entropy,
    weighted_mean,
)
from mmkd_ext.adaptation.replay import (
    ReplayBuffer,
    input_gradient,
    variance_of_gradients,
)
from mmkd_ext.adaptation.view_batches import each_view, view_batches
from mmkd_ext.adaptation.views import View
from mmkd_ext.errors import ConfigError, check_choice, check_range, did_you_mean
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mmengine.optim import OptimWrapper
    from torch import Tensor, nn

    from mmkd_ext.adaptation.batch import Batch, Update
    from mmkd_ext.adaptation.views import ViewConfig

__all__ = ['DOSE_VIEWS', 'DoSeDistiller']

#: Ours: of one size, so that they are one batch.
DOSE_VIEWS = (View(), View(flip=True), View(brightness=0.2, contrast=0.2))


@MODELS.register_module()
class DoSeDistiller(AdaptDistiller):
    r"""Learns from the model of the iteration before, layer by layer and by domain.

    .. math::
        L = L_{CE}(y', f_{\theta_k}(x))
        + \lambda_1 D(b_{\theta_k}(x), b_{\theta_{k-1}}(A(x)))
        + \lambda_2 D(b_{\theta_k}(x), P_d)

    After `Towards Domain-Aware Knowledge Distillation for Continual Model
    Generalization`, N. Reddy, M. Baktashmotlagh, C. Arora, WACV 2024, p. 696-707. The
    teacher :math:`\theta_{k-1}` sees a batch `A(x)` of the image and augmented views
    of it; the mean of its predictions, each brought back to the image, is the label
    and the prediction that is reported. `b` are the statistics at the batch norms,
    :math:`P_d` those of the domain (`DomainPrototypes`), `D` is `RelativeDistance`.
    After each update weights go back to the source with probability 0.1, from which
    the next iteration starts; the teacher keeps the weights from before that:
    :math:`\theta_k \leftarrow M \theta_0 + (1 - M) \theta_{k-1}`. A weight that no
    update moves remembers about ``1 / restore`` images. Every 100 images hard ones
    (`ReplayBuffer`) are seen again, labelled anew.

    **Known** to us are the abstract and a reading note: the roles of the models, the
    three terms, the restore and its 0.1, the score by the variance of gradients of
    student and teacher, and the 100. **Ours** are: all other defaults here; the measure
    `D` instead of sums of squares, so that :math:`\lambda` means the same on any
    network; the views; what is trained; the moving average of the prototypes; how many
    images are kept, of which domain, and what they weigh. No figure of the paper is
    claimed to be reproduced.

    A term with weight 0 costs nothing, ``replay=None`` and ``restore=0`` turn the
    others off. With ``decay=0.999``, both :math:`\lambda` 0, ``restore=0.01``, no
    replay, ``trainable='all'``, ``views='cotta'`` and ``anchor=0.69`` it is CoTTA.

    Args:
        lambda_layer: :math:`\lambda_1`, of the distance to the teacher's statistics.
        lambda_domain: :math:`\lambda_2`, of that to the domain's. Before the domain has
            a prototype, the teacher's are taken.
        labels: ``'hard'`` for the likeliest class, ``'soft'`` for the distribution.
        threshold: Pixels whose mean probability is smaller do not count.
        anchor: Where the source is surer than this, the label is the teacher's
            prediction of the image itself, without views (CoTTA); None for never.
        student_batch: What the student sees: ``'image'`` or the teacher's ``'views'``.
        feature: Statistics of the batch norms' ``'input'`` or ``'output'``.
        decay: Of the teacher, 0 for the iteration before, 0.999 for CoTTA's.
        mixing: Share of the batch's statistics in what both normalise with, see
            `StreamNorm`; 0 leaves the source's.
        prototypes: Settings of `DomainPrototypes`.
        replay: Settings of `ReplayBuffer`; None for no replay.
        views: The batch `A(x)`; by default the image, its mirror image, and one with
            brightness and contrast changed at random.
        restore: Probability of the stochastic restore.
        **common: See `AdaptDistiller`.

    Raises:
        ConfigError: The network has no batch normalisation, and something needs it.
    """

    def __init__(
        self,
        lambda_layer: float = 1.0,
        lambda_domain: float = 1.0,
        labels: str = 'hard',
        threshold: float = 0.0,
        *,
        anchor: float | None = None,
        student_batch: str = 'image',
        feature: str = 'input',
        decay: float = 0.0,
        mixing: float = 0.0,
        prototypes: Mapping[str, Any] | None = None,
        replay: Mapping[str, Any] | None = (),  # type: ignore[assignment]
        views: ViewConfig = DOSE_VIEWS,
        restore: float = 0.1,
        **common: Any,
    ) -> None:
        super().__init__(views=views, restore=restore, **common)
        check_range('lambda_layer', lambda_layer, low=0)
        check_range('lambda_domain', lambda_domain, low=0)
        check_choice('labels', labels, ('hard', 'soft'))
        check_range('threshold', threshold, low=0, high=1)
        if anchor is not None:
            check_range('anchor', anchor, low=0, high=1)
        check_choice('student_batch', student_batch, ('image', 'views'))
        check_choice('feature', feature, ('input', 'output'))
        check_range('decay', decay, low=0, high=1)
        check_range('mixing', mixing, low=0, high=1)
        self.lambda_layer, self.lambda_domain = lambda_layer, lambda_domain
        self.labels, self.threshold, self.anchor = labels, threshold, anchor
        self.student_batch, self.feature = student_batch, feature
        self.decay, self.mixing = decay, mixing
