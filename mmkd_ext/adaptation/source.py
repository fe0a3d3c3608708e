"""The frozen source model, identified by a fingerprint of its weights."""

from __future__ import annotations

import copy
import hashlib
from typing import TYPE_CHECKING

import torch

from mmkd_ext.adaptation.norms import copy_adaptive_norms

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

__all__ = ['SourceCopy', 'fingerprint']


class SourceCopy:
    """A frozen copy of the student as it was before the stream.

    It is no `nn.Module`, so a checkpoint does not hold its weights; it holds their
    fingerprint, which shows when a stream is resumed with another source.

    Args:
        student: The model to copy; its weights are taken by `snapshot`.
    """

    def __init__(self, student: nn.Module) -> None:
        self.module = copy.deepcopy(student).eval().requires_grad_(False)
        self.fingerprint = ''
        self._with_student_norms: nn.Module | None = None

    def with_student_norms(self, student: nn.Module) -> nn.Module:
        """Returns the source, normalised as the student is: what it was at first.

        It shares weights and statistics with `module`.

        Args:
            student: The model, with the normalisation that its method gave it.
        """
        if self._with_student_norms is None:
            tensors = [*self.module.parameters(), *self.module.buffers()]
            shared = {id(tensor): tensor for tensor in tensors}
            self._with_student_norms = copy.deepcopy(self.module, shared)
            copy_adaptive_norms(student, self._with_student_norms)
        return self._with_student_norms

    def move(self, fn: Callable[[Tensor], Tensor]) -> None:
        """Applies what `nn.Module.to` and its kin do to tensors."""
        self.module._apply(fn)
        # moved statistics are other tensors
        self._with_student_norms = None

    @torch.no_grad()
    def snapshot(self, student: nn.Module) -> None:
        """Copies the weights and running statistics of the student."""
        _copy(self._tensors(student), self._tensors(self.module))
        self.fingerprint = fingerprint(self.module)

    @torch.no_grad()
    def restore(self, student: nn.Module) -> None:
        """Copies them back into the student, in place."""
        _copy(self._tensors(self.module), self._tensors(student))

    @staticmethod
    def _tensors(model: nn.Module) -> dict[str, Tensor]:
        state = model.state_dict(keep_vars=True)
        # a module may have put a state of another kind beside its tensors
        return {k: v for k, v in state.items() if isinstance(v, torch.Tensor)}


def _copy(source: dict[str, Tensor], target: dict[str, Tensor]) -> None:
    for name, value in source.items():
        target[name].copy_(value)


def fingerprint(model: nn.Module) -> str:
    """Returns 16 hexadecimal digits that depend on each bit of a model's state."""
    digest = hashlib.blake2b(digest_size=8)
    for name, value in sorted(model.state_dict().items()):
        if not isinstance(value, torch.Tensor):
            continue
        flat = value.detach().cpu().contiguous().reshape(-1)
        digest.update(f'{name}{tuple(value.shape)}{value.dtype}'.encode())
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
