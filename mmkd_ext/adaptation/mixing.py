"""How much of the picture's statistics batch normalisation takes, found by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Union

import torch
from torch import Tensor, nn

from mmkd_ext.adaptation.norms import (
    AdaptiveBatchNorm,
    NormRecorder,
    Statistics,
    batch_norms,
)
from mmkd_ext.errors import ConfigError, check_keys, check_range

__all__ = ['AutoMixing', 'Mixing', 'build_mixing', 'relative_contrast']

#: A share from 0 to 1, ``'auto'``, or the arguments of `AutoMixing`.
Mixing = Union[float, str, Mapping[str, Any]]


class AutoMixing:
    r"""Takes more of a picture's statistics the more faded it is: ``mixing='auto'``.

    One share cannot be right for two kinds of weather: a fifth of the picture's
    statistics gives a network of Cityscapes twenty points in rain and takes eight by
    day. Fog, rain, snow and night have in common that they take contrast away, so the
    channels of the source vary less than they did on its own pictures, and to divide by
    what they vary now gives it back. A picture that is merely of another place has
    statistics as far from the source's, but varies as much or more, and there the
    running statistics are the better estimate. So the share is

    .. math::
        m = s \max(0, 1 - c)

    with the scale `s` and the `relative_contrast` `c` of the picture in the frozen
    source. It costs one forward pass a picture. No label is looked at, no other
    picture, and nothing that was learned, so there is nothing to save.

    Args:
        scale: The share that a picture without any contrast would get, from 0 to 1.
            Chosen on pictures that no table reports (benchmarks/espnetv2_mixing.py).
    """

    def __init__(self, scale: float = 0.5) -> None:
        check_range('mixing.scale', scale, ge=0, le=1)
        self.scale = scale
        #: The share of the last pictures.
        self.value = 0.0

    def look(
        self,
        run: Callable[[nn.Module, Tensor], Tensor],
        source: nn.Module,
        inputs: Tensor,
    ) -> None:
        """Finds the share for the pictures of one step; 0 if they are not finite.

        Args:
            run: Runs a model, normalised with `value`.
            source: The frozen source, with `AdaptiveBatchNorm`.
            inputs: Normalised pictures ``(n c h w)``.
        """
        self.value = 0.0
        recorder = NormRecorder()
        with recorder.recording(source):
            run(source, inputs)
        contrast = float(relative_contrast(source, recorder.statistics))
        # a NaN compares as not larger, so 0 stays
        self.value = self.scale * max(0.0, 1 - contrast)

    def apply_to(self, model: nn.Module) -> None:
        """Normalises a model with the share in use."""
        for module in model.modules():
            if isinstance(module, AdaptiveBatchNorm):
                module.momentum = self.value

    def describe(self) -> dict[str, Any]:
        """Returns its settings."""
        return {'scale': self.scale}


def build_mixing(mixing: Mixing) -> float | AutoMixing:
    """Returns the share that a setting means, or what finds one for each picture."""
    if mixing == 'auto':
        return AutoMixing()
    if isinstance(mixing, Mapping):
        check_keys('mixing', mixing, ('scale',))
        return AutoMixing(**mixing)
    if isinstance(mixing, str):
        raise ConfigError(
            "`mixing` must be a number from 0 to 1, 'auto' or a dict with `scale`, but "
            f'is {mixing!r}.'
        )
    check_range('mixing', mixing, ge=0, le=1)
    return mixing


def relative_contrast(model: nn.Module, found: Mapping[str, Statistics]) -> Tensor:
    r"""Returns how much channels vary, in parts of what they varied on the source.

    .. math::
        c = \exp \frac{1}{L} \sum_l \frac{1}{C_l} \sum_c
        \log \frac{\sigma^2_{lc} + \epsilon}{v_{lc} + \epsilon}

    with the variances `\sigma^2` of the inputs of the `L` batch norms, the running ones
    `v` and the layers' own :math:`\epsilon`. 1 means as much as on the source. Layers
    whose maps have one value a channel tell nothing and do not count.

    Args:
        model: The source.
        found: What `NormRecorder` recorded of it.

    Examples:
        >>> net = nn.Sequential(nn.BatchNorm2d(2, eps=0.0))
        >>> faded = Statistics(torch.zeros(2), torch.tensor([0.5, 0.125]))
        >>> relative_contrast(net, {'0': faded}).item()
        0.25
    """
    norms: Any = batch_norms(model)  # a layer's statistics may be None
    logs = [
        (stats.var + norms[name].eps).log().mean()
        - (norms[name].running_var + norms[name].eps).log().mean()
        for name, stats in found.items()
        if stats.var.any()
    ]
    return torch.stack(logs).mean().exp() if logs else torch.tensor(1.0)
