"""Pure tensor functions, named by idea; imports only torch.

They check shapes once at the door, compute in the dtype they are given, and return
one value for each independent item (channel, pixel, sample) so that the reduction
is a choice of the caller.
"""

from __future__ import annotations

from mmkd_ext.functional.adversarial import (
    gradient_penalty,
    hinge_critic,
    wasserstein_critic,
)
from mmkd_ext.functional.affinity import (
    affinity_row_distance,
    affinity_squared_distance,
    unit_distance,
)
from mmkd_ext.functional.attention import channel_attention, spatial_attention
from mmkd_ext.functional.attention_transfer import attention_distance
from mmkd_ext.functional.boxes import (
    background_mask,
    box_iof,
    box_iou,
    box_levels,
    box_mask,
    scale_mask,
)
from mmkd_ext.functional.class_similarity import class_similarity
from mmkd_ext.functional.correlation import pearson
from mmkd_ext.functional.decoupled import decoupled_divergence
from mmkd_ext.functional.divergence import channel_divergence, class_divergence
from mmkd_ext.functional.masking import random_mask
from mmkd_ext.functional.mimicry import squared_error
from mmkd_ext.functional.moments import correlation_distance
from mmkd_ext.functional.pooling import pooled_error
from mmkd_ext.functional.regions import (
    adaptive_thresholds,
    box_diou,
    distribution_boxes,
    fine_grained_region,
    first_kept,
    general_instances,
    inside_region,
    valuable_region,
)
from mmkd_ext.functional.relations import (
    channel_relation_divergence,
    contrast_divergence,
    pixel_relation_divergence,
)

__all__ = [
    'adaptive_thresholds',
    'affinity_row_distance',
    'affinity_squared_distance',
    'attention_distance',
    'background_mask',
    'box_diou',
    'box_iof',
    'box_iou',
    'box_levels',
    'box_mask',
    'channel_attention',
    'channel_divergence',
    'channel_relation_divergence',
    'class_divergence',
    'class_similarity',
    'contrast_divergence',
    'correlation_distance',
    'decoupled_divergence',
    'distribution_boxes',
    'fine_grained_region',
    'first_kept',
    'general_instances',
    'gradient_penalty',
    'hinge_critic',
    'inside_region',
    'pearson',
    'pixel_relation_divergence',
    'pooled_error',
    'random_mask',
    'scale_mask',
    'spatial_attention',
    'squared_error',
    'unit_distance',
    'valuable_region',
    'wasserstein_critic',
]
