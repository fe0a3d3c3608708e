"""Selection of the weights that are adapted."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Union

from torch import nn
from torch.nn import Parameter
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from mmkd_ext.errors import ConfigError, did_you_mean

__all__ = ['NORMS', 'Trainable', 'select_parameters']

#: Layers whose scale and shift ``'norm'`` means.
NORMS = (_BatchNorm, _InstanceNorm, nn.LayerNorm, nn.GroupNorm)
Trainable = Union[str, Sequence[str]]


def select_parameters(model: nn.Module, trainable: Trainable) -> dict[str, Parameter]:
    """Returns the parameters that a setting means, by name.

    Args:
        model: The student.
        trainable: ``'norm'`` for scale and shift of all normalisation layers,
            ``'all'``, or patterns of names as a shell has them:
            ``['backbone.layer4.*', '*.conv_seg.*']``.

    Raises:
        ConfigError: Nothing is selected, or a pattern selects nothing.

    Examples:
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
        >>> list(select_parameters(net, 'norm'))
        ['1.weight', '1.bias']
        >>> list(select_parameters(net, ['0.*']))
        ['0.weight', '0.bias']
    """
    everything = dict(model.named_parameters())
    if trainable == 'all':
        return everything
    if trainable == 'norm':
        names = {
            f'{prefix}.{name}' if prefix else name
            for prefix, module in model.named_modules()
            if isinstance(module, NORMS)
            for name, _ in module.named_parameters(recurse=False)
        }
        if not names:
            raise ConfigError(
                "`trainable='norm'`: the network has no normalisation layer with "
                "weights. Use 'all', or patterns of names."
            )
        return {name: value for name, value in everything.items() if name in names}
    if isinstance(trainable, str):
        raise ConfigError(
            f"`trainable` must be 'norm', 'all' or a list of patterns, but is "
            f'{trainable!r}.{did_you_mean(trainable, ["norm", "all"])}'
        )
    chosen: set[str] = set()
    for pattern in trainable:
        found = {name for name in everything if fnmatchcase(name, pattern)}
        if not found:
            raise ConfigError(
                f'`trainable`: {pattern!r} matches no parameter.'
                f'{did_you_mean(pattern, everything)}'
            )
        chosen |= found
    return {name: value for name, value in everything.items() if name in chosen}
