"""Distillation methods, one file each, named by their papers.

Names in the ``__all__`` of each method's module are available here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmkd_ext.discovery import import_public
from mmkd_ext.methods._adversary import AdversarialLoss, Discriminator
from mmkd_ext.methods._base import PairLoss

__all__ = ['AdversarialLoss', 'Discriminator', 'PairLoss']
__all__ += import_public(globals())

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...
