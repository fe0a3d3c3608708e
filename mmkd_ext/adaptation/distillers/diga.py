"""DIGA: mixed statistics and prototypes of the classes, without a backward pass."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmkd_ext.adaptation.distillers._base import AdaptDistiller
from mmkd_ext.adaptation.mixing import build_mixing
from mmkd_ext.adaptation.norms import require_batch_norm
from mmkd_ext.adaptation.pseudo_labels import log_probabilities
from mmkd_ext.errors import ConfigError, check_choice, check_range
from mmkd_ext.registry import MODELS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mmkd_ext.adaptation.batch import Batch
    from mmkd_ext.adaptation.mixing import Mixing
    from mmkd_ext.adaptation.originals import Original

__all__ = [
    'DIGADistiller',
    'class_means',
    'cosine_probabilities',
    'distance_probabilities',
]

#: Temperature by similarity.
TEMPERATURES = {'distance': 1.0, 'cosine': 0.1}


@MODELS.register_module()
class DIGADistiller(AdaptDistiller):
    r"""Classifies with prototypes that the stream brings, and statistics that it mixes.

    `Dynamically Instance-Guided Adaptation, CVPR 2023
    <https://github.com/Waybaba/DIGA>`_. One forward pass: batch normalisation
    takes 0.8 of the source's statistics and 0.2 of the image's; the features before the
    classifier, averaged over the pixels of each class that the classifier is sure of,
    become prototypes `q`,

    .. math::
        q_k \leftarrow (1 - \rho)\, q_k + \rho\, \bar f_k, \qquad
        p = \lambda\, (\eta\, s(f, q) + (1 - \eta)\, s(f, \bar f))
        + (1 - \lambda)\, p^{cls}, \qquad
        s(f, q)_k \propto e^{-\|f - q_k\|_2 / \tau}

    Both the running prototypes and the image's own classify, by the distance of the
    features to them, among the classes that have one.

    Where this differs from the authors' code, which it equals otherwise:

    - The code moves the running prototypes by the **ground truth** of the batch, from
      the second image on, and they carry 0.8 x 0.8 of the output: its figures are not
      those of a method without labels. Here the model's own sure classes move them, as
      in the code the image's own.
    - Where no class is sure, the code divides 0 by 0. Here the running prototypes
      classify alone, and before there are any, the classifier.
    - Each image of a batch comes after the one before it, not all at once.

    ``similarity='cosine'`` is how this class compared before the code was read; the
    tables of this package were made with it: the softmax of the cosine over
    `temperature` 0.1, running and own prototypes mixed before they are compared, and
    the classifier's probability for a class without one. 17 to 94 % of its labels are
    those of the code.

    Args:
        mixing: Weight of the image's own statistics; 0 leaves normalisation alone,
            ``'auto'`` finds it, see `AutoMixing`.
        fusion: Weight :math:`\lambda` of the prototypes; 0 leaves the classifier alone.
        rho: Weight of an image in the running prototypes.
        history: Weight :math:`\eta` of the running prototypes against the image's own.
        threshold: Probability from which on a pixel counts for its class's prototype.
        temperature: :math:`\tau`; by default 1 for distances and 0.1 for cosines.
        similarity: ``'distance'`` or ``'cosine'``, see above.
        classifier: Name of the last 1 x 1 convolution in the segmentor.
        **common: See `AdaptDistiller`; nothing is trained.

    Raises:
        ConfigError: The segmentor has no such convolution, or no batch normalisation
            though `mixing` is above 0.
    """

    settings: ClassVar[tuple[str, ...]] = (
        *('fusion', 'rho', 'history', 'threshold', 'temperature', 'similarity'),
    )
    trains: ClassVar[bool] = False
    prototypes: Tensor
    seen: Tensor

    def __init__(
        self,
        mixing: Mixing = 0.2,
        fusion: float = 0.8,
        rho: float = 0.1,
        history: float = 0.8,
        threshold: float = 0.9,
        temperature: float | None = None,
        similarity: str = 'distance',
        classifier: str = 'decode_head.conv_seg',
        **common: Any,
    ) -> None:
        super().__init__(**common)
        for name, value in (
            ('fusion', fusion),
            ('rho', rho),
            ('history', history),
            ('threshold', threshold),
        ):
            check_range(name, value, ge=0, le=1)
        check_choice('similarity', similarity, TEMPERATURES)
        if temperature is None:
            temperature = TEMPERATURES[similarity]
        check_range('temperature', temperature, gt=0)
        self.similarity = similarity
        self.mixing = build_mixing(mixing)
        self.fusion, self.rho, self.history = fusion, rho, history
        self.threshold, self.temperature = threshold, temperature
        self.classifier_name = classifier

    def prepare(self, student: nn.Module, source: nn.Module) -> None:
        """Replaces the batch normalisation, and builds the prototypes."""
        super().prepare(student, source)
        if self.mixing != 0:
            require_batch_norm(student, type(self).__name__)
            self.mix(student)
        classifier = self.classifier()
        size = (classifier.out_channels, classifier.in_channels)
        self.register_buffer('prototypes', torch.zeros(size))
        self.register_buffer('seen', torch.zeros(size[0], dtype=torch.bool))

    def reset(self) -> None:
        """Removes the prototypes."""
        super().reset()
        self.prototypes.zero_()
        self.seen.zero_()

    def classifier(self) -> nn.Conv2d:
        """Returns the convolution that gives the logits."""
        found = dict(self.student.named_modules()).get(self.classifier_name)
        if not isinstance(found, nn.Conv2d):
            raise ConfigError(
                f'`classifier`: {self.classifier_name!r} must name the convolution of '
                f'the segmentor that gives the logits, but is {type(found).__name__}.'
            )
        return found

    def forward(
        self, inputs: Tensor, originals: Sequence[Original] | None = None
    ) -> Tensor:
        """Returns scores ``(n k h w)``, changing nothing."""
        del originals
        return self.fused(inputs, learn=False)

    def predict(self, batch: Batch) -> Tensor:
        """Returns scores, and learns the prototypes of the images."""
        return self.fused(batch.inputs, learn=True)

    def fused(self, inputs: Tensor, *, learn: bool) -> Tensor:
        """Returns logits without fusion, else log-probabilities ``(n k h w)``."""
        with self.fusing(learn=learn):
            scores = self.run(self.student, inputs)
        if self.fusion == 0 or self.similarity == 'cosine':
            return scores
        # the code resizes probabilities
        return log_probabilities(scores)

    @contextmanager
    def fusing(self, *, learn: bool) -> Iterator[None]:
        """Replaces the classifier's logits by what fusion gives during the block.

        At the size of the features, and so for each window of a sliding test.
        """
        if self.fusion == 0:
            yield
            return

        def hook(module: nn.Module, inputs: tuple[Tensor], logits: Tensor) -> Tensor:
            del module
            images = zip(inputs[0], logits)
            fused = torch.stack([self.fuse(f, z, learn=learn) for f, z in images])
            return log_probabilities(fused) if self.similarity == 'cosine' else fused

        handle = self.classifier().register_forward_hook(hook)
        try:
            yield
        finally:
            handle.remove()

    @torch.no_grad()
    def fuse(self, features: Tensor, logits: Tensor, *, learn: bool) -> Tensor:
        """Returns fused probabilities ``(k h w)`` of one image.

        Args:
            features: What the classifier sees ``(c h w)``.
            logits: What it says ``(k h w)``.
            learn: Whether the image moves the running prototypes for good.
        """
        features, logits = features.to(self.prototypes), logits.to(self.prototypes)
        classified = logits.softmax(0)
        own, found = class_means(features, classified, self.threshold)
        known = self.seen.unsqueeze(1)
        moved = torch.where(known, self.prototypes.lerp(own, self.rho), own)
        running = torch.where(found.unsqueeze(1), moved, self.prototypes)
        if learn:
            self.prototypes.copy_(running)
            self.seen.logical_or_(found)
        seen = self.seen | found
        if not seen.any():
            return classified
        tau = self.temperature
        if self.similarity == 'cosine':
            mixed = own.lerp(running, self.history)
            mixed = torch.where(found.unsqueeze(1), mixed, running)
            alike = cosine_probabilities(features, classified, mixed, seen, tau)
        else:
            alike = distance_probabilities(features, running, seen, tau)
            if found.any():
                new = distance_probabilities(features, own, found, tau)
                alike = new.lerp(alike, self.history)
        return classified.lerp(alike, self.fusion)


def class_means(
    features: Tensor, probabilities: Tensor, threshold: float
) -> tuple[Tensor, Tensor]:
    """Returns the mean feature of each class ``(k c)``, and which have one ``(k)``.

    Args:
        features: ``(c h w)``.
        probabilities: ``(k h w)``.
        threshold: Pixels whose class is less likely are left out.

    Examples:
        >>> features = torch.tensor([[[1.0, 3.0, 9.0]]])
        >>> sure = torch.tensor([[[0.95, 0.95, 0.6]], [[0.05, 0.05, 0.4]]])
        >>> class_means(features, sure, 0.9)
        (tensor([[2.],
                [0.]]), tensor([ True, False]))
    """
    confidence, labels = probabilities.max(0)
    one_hot = F.one_hot(labels, len(probabilities)).permute(2, 0, 1)
    counted = (one_hot * (confidence >= threshold)).to(features.dtype)
    count = counted.sum((1, 2))
    total = torch.einsum('khw,chw->kc', counted, features)
    return total / count.clamp_min(1).unsqueeze(1), count > 0


def distance_probabilities(
    features: Tensor, prototypes: Tensor, seen: Tensor, temperature: float
) -> Tensor:
    """Returns the softmax of the distances to prototypes ``(k h w)``.

    Classes without a prototype get 0.

    Args:
        features: ``(c h w)``.
        prototypes: ``(k c)``.
        seen: Which classes have one ``(k)``, at least one.
        temperature: Of the softmax of the negative Euclidean distances.

    Examples:
        >>> features = torch.tensor([0.0, 3.0]).view(2, 1, 1)
        >>> prototypes = torch.tensor([[4.0, 0.0], [0.0, 3.0], [0.0, 0.0]])
        >>> seen = torch.tensor([True, True, False])
        >>> distance_probabilities(features, prototypes, seen, 5.0).flatten()
        tensor([0.2689, 0.7311, 0.0000])
    """
    distances = torch.cdist(
        features.flatten(1).t(),
        prototypes,
        compute_mode='donot_use_mm_for_euclid_dist',
    )
    scores = (-distances / temperature).masked_fill(~seen, float('-inf'))
    return scores.softmax(1).t().reshape(-1, *features.shape[1:])


def cosine_probabilities(
    features: Tensor,
    classified: Tensor,
    prototypes: Tensor,
    seen: Tensor,
    temperature: float,
) -> Tensor:
    """Returns the probabilities ``(k h w)`` that the cosines to prototypes give.

    Classes without one keep the classifier's; the others share the rest.

    Args:
        features: ``(c h w)``.
        classified: The classifier's probabilities ``(k h w)``.
        prototypes: ``(k c)``.
        seen: Which classes have one ``(k)``, at least one.
        temperature: Of the softmax of the cosines.
    """
    cosine = torch.einsum(
        'kc,chw->khw', F.normalize(prototypes, dim=1), F.normalize(features, dim=0)
    )
    has = seen.view(-1, 1, 1)
    share = (classified * has).sum(0)
    alike = (cosine / temperature).masked_fill(~has, float('-inf')).softmax(0)
    return torch.where(has, share * alike, classified)
