"""ESPNetv2 for mmseg; ``custom_imports = dict(imports=['projects.espnetv2'])``."""

from projects.espnetv2.backbone import ESPNetv2
from projects.espnetv2.classes import MergedClassIoUMetric
from projects.espnetv2.head import ESPNetv2Head

__all__ = ['ESPNetv2', 'ESPNetv2Head', 'MergedClassIoUMetric']
