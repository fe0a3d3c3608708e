"""EfficientNet-Lite; ``custom_imports = dict(imports=['projects.efficientnet_lite'])``.

A backbone for mmdet and mmseg around the package ``efficientnet-lite-pytorch``.
"""

from projects.efficientnet_lite.backbone import EfficientNetLite

__all__ = ['EfficientNetLite']
