"""Connectors that make one teacher of several.

The first teacher is the tap itself, the others are given to its connector:

.. code-block:: python

    preds_T=dict(
        of='wide', at='head',
        connector=dict(type='mmkd_ext.ConfidentTeachers', tau=4.0),
        given=dict(
            deep=dict(of='deep', at='head'),
            data_samples=dict(of='batch', at='data_samples')))

Their values, maps or rows of classes, may differ in the size of the maps only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmkd_ext.errors import ConfigError, ShapeError, check_choice, check_range
from mmkd_ext.methods._labels import class_indices, labelled, labels_at
from mmkd_ext.registry import MODELS

__all__ = ['AgreeingTeachers', 'ConfidentTeachers', 'RandomTeacher', 'TeacherMean']


class Teachers(nn.Module, ABC):
    r"""Base of what combines teachers: a mean with a share for each.

    .. math::
        \bar t = \sum_k w_k t_k \quad \text{or, with a temperature,} \quad
        \bar t = \tau \log \sum_k w_k \operatorname{softmax}(t_k / \tau)

    In the second form a softmax of the result at the same temperature gives the mean of
    the probabilities.

    Args:
        tau: Temperature of the loss, > 0, to average probabilities of logits; None
            averages the values, which may be features then.

    Attributes:
        shares: Mean share of each teacher in the last call ``(k)``.
    """

    yields_classes: ClassVar[bool] = True

    def __init__(self, tau: float | None = None) -> None:
        super().__init__()
        if tau is not None:
            check_range('tau', tau, gt=0)
        self.tau = tau
        self.shares: Tensor | None = None

    @abstractmethod
    def weigh(self, values: Tensor, data_samples: Any) -> Tensor:
        """Returns the share of each teacher, of the form ``(k n 1 ...)``.

        Args:
            values: Values of the `k` teachers ``(k n c ...)``.
            data_samples: Samples of the batch, None where they are not given.
        """

    def forward(
        self, first: Tensor, data_samples: Any = None, **others: Tensor
    ) -> Tensor:
        """Returns the teachers' mean, of the form of the first one's value.

        Raises:
            ShapeError: The teachers' values differ, but for the size of maps.
        """
        if not others:
            raise ConfigError(
                f'`{type(self).__name__}` has one teacher: write the others into the '
                "tap's `given`, such as given=dict(other=dict(of='other', at=...))."
            )
        values = [first]
        for name, other in others.items():
            if other.dim() == first.dim() == 4 and other.shape[2:] != first.shape[2:]:
                other = F.interpolate(other, first.shape[2:], mode='bilinear')
            if other.shape != first.shape:
                raise ShapeError(
                    f'the teachers differ: `{name}` gives {tuple(other.shape)}, the '
                    f'first one {tuple(first.shape)}.'
                )
            values.append(other)
        with torch.autocast(first.device.type, enabled=False):
            stacked = torch.stack(values)
            if stacked.dtype in (torch.float16, torch.bfloat16):
                stacked = stacked.float()
            weights = self.weigh(stacked.detach(), data_samples)
            self.shares = weights.detach().flatten(1).mean(1)
            if self.tau is None:
                return (weights * stacked).sum(0)
            scores = (stacked / self.tau).log_softmax(2) + weights.log()
            return self.tau * scores.logsumexp(0)


@MODELS.register_module()
class TeacherMean(Teachers):
    """Mean of the teachers, each with the same share or with a given one.

    Args:
        weights: Share of each teacher in the order of the config, not all 0; they are
            scaled to sum to 1.
        tau: See `Teachers`.

    Examples:
        >>> mean = TeacherMean([3, 1])
        >>> mean(torch.zeros(1, 2), other=torch.tensor([[4.0, 8.0]]))
        tensor([[1., 2.]])
    """

    def __init__(
        self, weights: Sequence[float] | None = None, tau: float | None = None
    ) -> None:
        super().__init__(tau)
        for weight in weights or ():
            check_range('weights', weight, ge=0)
        if weights is not None and sum(weights) == 0:
            raise ConfigError(f'`weights` must not all be 0, but are {weights!r}.')
        self.weights = weights

    def weigh(self, values: Tensor, data_samples: Any) -> Tensor:
        """Returns the given shares."""
        own = self.weights or [1.0] * len(values)
        if len(own) != len(values):
            raise ConfigError(
                f'`weights` are {len(own)}, but there are {len(values)} teachers.'
            )
        weights = values.new_tensor(own) / sum(own)
        return weights.reshape(-1, *[1] * (values.dim() - 1))


@MODELS.register_module()
class ConfidentTeachers(Teachers):
    r"""Mean of the teachers that trusts those more which predict the label.

    .. math::
        w_k = \frac{1}{K - 1} \Bigl(1 - \frac{\exp L_k}{\sum_j \exp L_j}\Bigr)

    with the cross entropy :math:`L_k` of each sample or pixel: CA-MKD, "Confidence-Aware
    Multi-Teacher Knowledge Distillation", ICASSP 2022, `arXiv 2201.00007
    <https://arxiv.org/abs/2201.00007>`_. Of `K` teachers one that is right where all
    others are wrong has the share ``1 / (K - 1)``. Pixels without a label have equal
    shares. The tap needs ``given=dict(data_samples=dict(of='batch',
    at='data_samples'))``.

    Args:
        tau: See `Teachers`.
        ignore_index: Label of the pixels that have none.
    """

    def __init__(self, tau: float | None = None, ignore_index: int = 255) -> None:
        super().__init__(tau)
        self.ignore_index = ignore_index

    def weigh(self, values: Tensor, data_samples: Any) -> Tensor:
        """Returns a share for each sample or pixel."""
        if data_samples is None:
            raise ConfigError(
                '`ConfidentTeachers` needs the labels: add data_samples=dict('
                "of='batch', at='data_samples') to `given`."
            )
        if values.dim() == 5:
            labels = labels_at(data_samples, values[0])
            ignore = self.ignore_index
            counts = labelled(labels, values.shape[2], ignore_index=ignore)
            labels = labels.where(counts, -1)
        else:
            labels = class_indices(data_samples, values[0])
        wrong = torch.stack(
            [
                F.cross_entropy(one, labels, reduction='none', ignore_index=-1)
                for one in values
            ]
        )
        share = (1 - wrong.softmax(0)) / (len(values) - 1)
        return share.unsqueeze(2)


@MODELS.register_module()
class AgreeingTeachers(Teachers):
    r"""Mean of the teachers that trusts those less which are alone with their view.

    .. math::
        w_k \propto \exp(-D_{KL}(p_k \| \bar p) / \beta), \quad
        \bar p = \frac{1}{K} \sum_j p_j

    for each sample or pixel. No label is needed. The rule is ours; of two teachers both
    are nearly as far from their mean, so it takes three.

    Args:
        tau: See `Teachers`.
        beta: How much divergence, in nats, lowers a share by a factor of `e`, > 0.
    """

    def __init__(self, tau: float | None = None, beta: float = 0.1) -> None:
        super().__init__(tau)
        check_range('beta', beta, gt=0)
        self.beta = beta

    def weigh(self, values: Tensor, data_samples: Any) -> Tensor:
        """Returns a share for each sample or pixel."""
        log_p = values.log_softmax(2)
        p = log_p.exp()
        log_mean = p.mean(0).clamp_min(torch.finfo(p.dtype).tiny).log()
        apart = (p * (log_p - log_mean)).sum(2, keepdim=True)
        return (-apart / self.beta).softmax(0)


@MODELS.register_module()
class RandomTeacher(Teachers):
    """One of the teachers at random, for each sample or for each batch.

    That of a batch is in "Efficient Knowledge Distillation from an Ensemble of
    Teachers", Interspeech 2017. All teachers run in each step. In evaluation it is
    their mean. The draws are PyTorch's, so `ReproducibleStepHook` repeats them.

    Args:
        each: ``'sample'`` or ``'batch'``.
    """

    def __init__(self, each: str = 'sample') -> None:
        super().__init__()
        check_choice('each', each, ('sample', 'batch'))
        self.each = each

    def weigh(self, values: Tensor, data_samples: Any) -> Tensor:
        """Returns 1 for the teacher that was drawn, 0 for the others."""
        count, items = values.shape[:2]
        shape = (count, items, *[1] * (values.dim() - 2))
        if not self.training:
            return values.new_full(shape, 1 / count)
        drawn = torch.randint(count, (items if self.each == 'sample' else 1,))
        chosen = F.one_hot(drawn.expand(items), count).T.to(values)
        return chosen.reshape(shape)
