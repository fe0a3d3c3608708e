"""Networks that the papers use and mmpretrain lacks, most for pictures of 32 x 32."""

from __future__ import annotations

from mmkd_ext.backbones.mobilenet import SmallMobileNetV2
from mmkd_ext.backbones.mobilenet_v1 import MobileNetV1
from mmkd_ext.backbones.resnet import SmallResNet
from mmkd_ext.backbones.wide_resnet import SmallWideResNet

__all__ = ['MobileNetV1', 'SmallMobileNetV2', 'SmallResNet', 'SmallWideResNet']
