"""Modules that belong to one teacher, which is identified by its weights."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ['KnowsTeacher', 'fingerprint']


class KnowsTeacher(ABC):
    """A module of a link that works with one teacher only.

    The distiller calls `bind_teacher` once the teacher's weights are loaded, before the
    first step.
    """

    @abstractmethod
    def bind_teacher(self, fingerprint: Tensor) -> None:
        """Stores the teacher's fingerprint, or compares it with the stored one.

        Args:
            fingerprint: What :func:`fingerprint` returns for the teacher.

        Raises:
            CheckpointError: The module belongs to another teacher.
        """


def fingerprint(model: nn.Module, tapped: str) -> Tensor:
    """Returns a 16-byte hash of a teacher's weights.

    The weights are those of the tapped module, or of the smallest module around it that
    has any: a head that no link uses may be initialised at random, so it is left out.

    Args:
        model: The teacher, its weights loaded.
        tapped: Dotted name of the module whose features are used. The whole model is
            taken if there is no such module.

    Returns:
        Bytes ``(16)``, equal for equal weights on any device.

    Examples:
        >>> from torch import nn
        >>> a, b = nn.Linear(2, 2), nn.Linear(2, 2)
        >>> torch.equal(fingerprint(a, ''), fingerprint(a, ''))
        True
        >>> torch.equal(fingerprint(a, ''), fingerprint(b, ''))
        False
    """
    modules = dict(model.named_modules())
    while tapped and not _weights(modules.get(tapped)):
        tapped = tapped.rpartition('.')[0]
    digest = hashlib.blake2b(digest_size=16)
    for name, value in _weights(modules[tapped]):
        digest.update(name.encode())
        digest.update(value.detach().float().cpu().contiguous().numpy().tobytes())
    return torch.tensor(list(digest.digest()), dtype=torch.uint8)


def _weights(module: nn.Module | None) -> list[tuple[str, Tensor]]:
    """Parameters and statistics of a module; counters are left out."""
    if module is None:
        return []
    return [(k, v) for k, v in module.state_dict().items() if v.is_floating_point()]
