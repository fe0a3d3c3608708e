"""Networks for pictures of 32 x 32 that the papers use and mmpretrain lacks."""

from __future__ import annotations

from mmkd_ext.backbones.mobilenet import SmallMobileNetV2
from mmkd_ext.backbones.resnet import SmallResNet
from mmkd_ext.backbones.wide_resnet import SmallWideResNet

__all__ = ['SmallMobileNetV2', 'SmallResNet', 'SmallWideResNet']
