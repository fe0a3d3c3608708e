"""Source model of the CamVid stream: semantic FPN, day pictures of `train` only.

The teacher of configs/camvid, under the name that the streams know it by.

Command: CAMVID_ROOT=... python tools/train.py CONFIG
Expected: 43.5 mIoU on val (seed 0, 2 CPU cores), as configs/camvid/teacher_fpn-r18-w32.py.
Status: measured
"""

_base_ = ['../../../camvid/teacher_fpn-r18-w32.py']
