"""The teacher on CamVid: half a ResNet-18 with semantic FPN, from scratch.

It is the source model of the CamVid stream, too.

Command: CAMVID_ROOT=... python tools/train.py CONFIG
Expected: 43.5 mIoU on val (seed 0, 2 CPU cores).
Status: measured
"""

_base_ = '../../../configs/adapt/mmseg/source/fpn-r18-w32_camvid.py'
