"""Which teacher something was trained on: known by its weights, not by its name."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ['KnowsTeacher', 'fingerprint']


class KnowsTeacher(ABC):
    """A module of a link that works for one teacher alone.

    The distiller shows it its teacher once that one's weights are loaded, before the
    first step.
    """

    @abstractmethod
    def meet_teacher(self, mark: Tensor) -> None:
        """Notes the teacher, or compares it with the one that is known.

        Args:
            mark: See `fingerprint`.

        Raises:
            CheckpointError: It is another one.
        """


def fingerprint(model: nn.Module, tapped: str) -> Tensor:
    """Returns 16 bytes that tell the weights of a teacher from all others.

    Those of the tapped module count, or of the smallest module around it that has any:
    a head that no link asks may start at random, and is then another in each run.

    Args:
        model: The teacher, its weights loaded.
        tapped: Dotted name of the module whose features are used. What is no module
            stands for the whole model.

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
