"""Search for the share of the picture's statistics in batch normalisation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Union

import torch
from torch import Tensor, nn

from mmkd_ext.adaptation.norms import AdaptiveBatchNorm
from mmkd_ext.errors import ConfigError, check_integer, check_keys, check_range

__all__ = ['Mixing', 'MixingSearch', 'build_mixing', 'mirror_uncertainty']

#: A share from 0 to 1, ``'auto'``, or the arguments of `MixingSearch`.
Mixing = Union[float, str, Mapping[str, Any]]
_KEYS = ('candidates', 'every', 'momentum', 'margin')


class MixingSearch(nn.Module):
    r"""Chooses how much of the picture's statistics normalises it: ``mixing='auto'``.

    One share cannot be right for two networks, nor for two kinds of weather: a fifth of
    the picture's statistics gives one ESPNetv2 eleven points at dusk and takes two from
    another. Every so often the frozen source predicts the picture and its mirror image
    with each candidate, and the running means of `mirror_uncertainty` are compared. The
    first candidate stays in use until another one is lower by a margin.

    No label is looked at, no later picture, and nothing that was learned: a network
    that has collapsed says the same about everything.

    Args:
        candidates: Shares from 0 to 1; the first is the safe one.
        every: Pictures from one look to the next. A look takes two forward passes for
            each candidate.
        momentum: Weight of a look in the running means.
        margin: By what part of the first candidate's uncertainty another one must be
            lower: predictions grow surer with the share, right or wrong. On pictures
            of ESPNetv2 that no table reports, 0.15 to 0.25 never chose a share that
            lost (benchmarks/espnetv2_mixing.py).
    """

    def __init__(
        self,
        candidates: Sequence[float] = (0.0, 0.1, 0.2),
        every: int = 4,
        momentum: float = 0.3,
        margin: float = 0.2,
    ) -> None:
        super().__init__()
        if isinstance(candidates, str) or len(candidates) < 2:
            raise ConfigError(
                '`mixing.candidates` must be two shares or more, but is '
                f'{candidates!r}.'
            )
        for share in candidates:
            check_range('mixing.candidates', share, ge=0, le=1)
        check_integer('mixing.every', every, ge=1)
        check_range('mixing.momentum', momentum, gt=0, le=1)
        check_range('mixing.margin', margin, ge=0, le=1)
        self.candidates = tuple(map(float, candidates))
        self.every, self.momentum, self.margin = every, momentum, margin
        self.reset()

    def reset(self) -> None:
        """Forgets what was seen, at the start of a stream."""
        self.value = self.candidates[0]
        self.seen = 0
        self.means: list[float] = []

    def look(self, run: Callable[[Tensor], Tensor], inputs: Tensor) -> None:
        """Looks at the pictures of one step, if it is time to, and chooses.

        Args:
            run: Gives the source's logits, normalised with `value`.
            inputs: Normalised pictures ``(n c h w)``.
        """
        due = self.seen % self.every == 0
        self.seen += 1
        if not due:
            return
        chosen, found = self.value, []
        for share in self.candidates:
            self.value = share
            found.append(mirror_uncertainty(run(inputs), run(inputs.flip(-1))))
        self.value = chosen
        costs = torch.stack(found)
        if costs.isfinite().all():
            self.choose(costs.tolist())

    def choose(self, costs: Sequence[float]) -> None:
        """Takes the uncertainty of each candidate into account, and chooses."""
        old = self.means or costs
        m = self.momentum
        self.means = [(1 - m) * a + m * b for a, b in zip(old, costs)]
        best = min(range(len(costs)), key=self.means.__getitem__)
        better = self.means[best] < (1 - self.margin) * self.means[0]
        self.value = self.candidates[best if better else 0]

    def apply_to(self, model: nn.Module) -> None:
        """Normalises a model with the share in use."""
        for module in model.modules():
            if isinstance(module, AdaptiveBatchNorm):
                module.momentum = self.value

    def describe(self) -> dict[str, Any]:
        """Returns its settings."""
        return {name: getattr(self, name) for name in _KEYS}

    def get_extra_state(self) -> dict[str, Any]:
        """Returns what was seen, and the share in use."""
        return {'value': self.value, 'seen': self.seen, 'means': list(self.means)}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restores that of a saved stream."""
        self.value, self.seen = state['value'], state['seen']
        self.means = list(state['means'])


def build_mixing(mixing: Mixing) -> float | MixingSearch:
    """Returns the share that a setting means, or the search for one."""
    if mixing == 'auto':
        return MixingSearch()
    if isinstance(mixing, Mapping):
        check_keys('mixing', mixing, _KEYS)
        return MixingSearch(**mixing)
    if isinstance(mixing, str):
        raise ConfigError(
            f"`mixing` must be a number from 0 to 1, 'auto' or a dict of {_KEYS}, but "
            f'is {mixing!r}.'
        )
    check_range('mixing', mixing, ge=0, le=1)
    return mixing


def mirror_uncertainty(logits: Tensor, mirrored: Tensor) -> Tensor:
    r"""Returns how uncertain a network is of pictures and their mirror images.

    .. math::
        U = \frac{1}{N} \sum_n \frac{-\frac{1}{2I} \sum_{ik}
        p_{nik} \log q_{nik} + q_{nik} \log p_{nik}}{H(\bar p_n)}

    with the predictions `p` of a picture, `q` of its mirror image, mirrored back, and
    the entropy of their mean over all `I` pixels. The cross entropy alone is low as
    well where one class is everywhere; divided by that entropy it is the part of what
    could be known about the classes that is not known, or not the same in both.

    Args:
        logits: Of pictures ``(n k h w)``.
        mirrored: Of their mirror images, not mirrored back.

    Examples:
        >>> sure = torch.tensor([[[[9.0, -9.0]], [[-9.0, 9.0]]]])
        >>> round(float(mirror_uncertainty(sure, sure.flip(-1))), 3)
        0.0
        >>> round(float(mirror_uncertainty(0 * sure, 0 * sure)), 3)
        1.0
    """
    log_p, log_q = logits.log_softmax(1), mirrored.flip(-1).log_softmax(1)
    p, q = log_p.exp(), log_q.exp()
    cross = -(p * log_q + q * log_p).sum(1).mean((1, 2)) / 2
    mean = (p + q).mean((2, 3)) / 2
    # at least a thousandth of a nat: one class everywhere leaves nothing to know
    spread = torch.special.entr(mean).sum(1).clamp_min(1e-3)
    return (cross / spread).mean()
