"""One teacher of several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmkd_ext.errors import ConfigError, ShapeError, check_choice, check_range
from mmkd_ext.methods._labels import class_indices, labelled, labels_at
from mmkd_ext.registry import MODELS

__all__ = ['TeacherMean']

_IGNORED = 255


@MODELS.register_module()
class TeacherMean(nn.Module):
    r"""Combines teachers to one: a mean with a share for each.

    The first teacher is the tap, the others are given to its connector:

    .. code-block:: python

        preds_T=dict(of='wide', at='head',
            connector=dict(type='mmkd_ext.TeacherMean', shares='confidence', tau=4.0),
            given=dict(deep=dict(of='deep', at='head'),
                       data_samples=dict(of='batch', at='data_samples')))

    With a temperature probabilities are averaged, and a softmax of the result at this
    temperature gives their mean:

    .. math:: \bar t = \tau \log \sum_k w_k \operatorname{softmax}(t_k / \tau)

    Args:
        shares: How large :math:`w_k` is.

            - ``'equal'``, or a list of numbers in the order of the teachers.
            - ``'confidence'``, for each sample or pixel by the cross entropy
              :math:`L_k` to its label, which the tap's `given` must have:
              :math:`w_k = (1 - e^{L_k} / \sum_j e^{L_j}) / (K - 1)`, as in
              "Confidence-Aware Multi-Teacher Knowledge Distillation", ICASSP 2022,
              `arXiv 2201.00007 <https://arxiv.org/abs/2201.00007>`_. Pixels without a
              label, 255, have equal shares.
            - ``'agreement'``, for each sample or pixel by the divergence from the mean
              of all, :math:`w_k \propto e^{-D_{KL}(p_k \| \bar p) / \beta}`. The rule
              is ours. Two are nearly as far from their mean, so it takes three.
            - ``'random'``, one teacher, drawn for each sample by PyTorch; all run.
              In evaluation it is their mean.
        tau: Temperature of the loss, > 0; None averages the values themselves, which
            may be features then.
        beta: How many nats of divergence lower a share by a factor of `e`, > 0.

    Attributes:
        last_shares: Mean share of each teacher in the last call ``(k)``.

    Examples:
        >>> mean = TeacherMean([3, 1])
        >>> mean(torch.zeros(1, 2), other=torch.tensor([[4.0, 8.0]]))
        tensor([[1., 2.]])
    """

    yields_classes: ClassVar[bool] = True

    def __init__(
        self,
        shares: str | Sequence[float] = 'equal',
        *,
        tau: float | None = None,
        beta: float = 0.1,
    ) -> None:
        super().__init__()
        if isinstance(shares, str):
            kinds = ('equal', 'confidence', 'agreement', 'random')
            check_choice('shares', shares, kinds)
        elif not shares or min(shares) < 0 or sum(shares) <= 0:
            raise ConfigError(f'`shares` must be >= 0, not all 0, but are {shares!r}.')
        if tau is not None:
            check_range('tau', tau, gt=0)
        check_range('beta', beta, gt=0)
        self.shares, self.tau, self.beta = shares, tau, beta
        self.last_shares: Tensor | None = None

    def forward(
        self, first: Tensor, data_samples: Any = None, **others: Tensor
    ) -> Tensor:
        """Returns the mean, of the form of the first teacher's value.

        Args:
            first: Rows ``(n c)`` or maps ``(n c h w)``.
            data_samples: Samples with labels, for ``'confidence'``.
            others: Values of the other teachers; maps may be of another size.

        Raises:
            ShapeError: The values differ.
            ConfigError: There is one teacher, or labels are missing or wrong.
        """
        if not others:
            hint = "into the tap's `given`: given=dict(b=dict(of='b', at=...))."
            raise ConfigError(f'`TeacherMean` has one teacher: write others {hint}')
        values = [first]
        for name, value in others.items():
            if value.dim() == first.dim() == 4 and value.shape != first.shape:
                value = F.interpolate(value, first.shape[2:], mode='bilinear')
            if value.shape != first.shape:
                shapes = f'{tuple(value.shape)}, the first one {tuple(first.shape)}'
                raise ShapeError(f'the teachers differ: `{name}` gives {shapes}.')
            values.append(value)
        with torch.autocast(first.device.type, enabled=False):
            stacked = torch.stack(values)
            if stacked.dtype in (torch.float16, torch.bfloat16):
                stacked = stacked.float()
            weights = self._weigh(stacked.detach(), data_samples)
            self.last_shares = weights.flatten(1).mean(1)
            if self.tau is None:
                return (weights * stacked).sum(0)
            scores = (stacked / self.tau).log_softmax(2) + weights.log()
            return self.tau * scores.logsumexp(0)

    def _weigh(self, values: Tensor, data_samples: Any) -> Tensor:
        """Returns the share of each teacher ``(k n 1 ...)`` in ``(k n c ...)``."""
        count = len(values)
        if self.shares == 'confidence':
            return (1 - _wrong(values, data_samples).softmax(0)) / (count - 1)
        if self.shares == 'agreement':
            log_p = values.log_softmax(2)
            log_mean = log_p.logsumexp(0) - math.log(count)
            apart = (log_p.exp() * (log_p - log_mean)).sum(2, keepdim=True)
            return (-apart / self.beta).softmax(0)
        shape = (count, -1, *[1] * (values.dim() - 2))
        if self.shares == 'random' and self.training:
            drawn = torch.randint(count, values.shape[1:2])
            return F.one_hot(drawn, count).T.to(values).reshape(shape)
        own = [1.0] * count if isinstance(self.shares, str) else self.shares
        if len(own) != count:
            raise ConfigError(f'`shares` are {len(own)}, the teachers {count}.')
        return (values.new_tensor(own) / sum(own)).reshape(shape)


def _wrong(values: Tensor, data_samples: Any) -> Tensor:
    """Returns the cross entropy of each teacher to the labels ``(k n 1 ...)``."""
    if data_samples is None:
        where = "data_samples=dict(of='batch', at='data_samples')"
        raise ConfigError(f'`TeacherMean` needs labels: add {where} to `given`.')
    if values.dim() == 5:
        labels = labels_at(data_samples, values[0])
        counts = labelled(labels, values.shape[2], ignore_index=_IGNORED)
        labels = labels.where(counts, -1)
    else:
        labels = class_indices(data_samples, values[0])
    options: dict[str, Any] = dict(reduction='none', ignore_index=-1)
    each = [F.cross_entropy(one, labels, **options) for one in values]
    return torch.stack(each).unsqueeze(2)
