"""Pure tensor functions, named by idea; imports only torch.

They check shapes once at the door, compute in the dtype they are given, and return
one value for each independent item (channel, pixel, sample) so that the reduction
is a choice of the caller.
"""

from __future__ import annotations

from mmkd_ext.functional.divergence import channel_divergence, class_divergence
from mmkd_ext.functional.mimicry import squared_error

__all__ = ['channel_divergence', 'class_divergence', 'squared_error']
