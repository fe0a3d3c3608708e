"""Joint training on CamVid: the teacher learns its task while it teaches.

Paper: none; it is one direction of deep mutual learning.
Command: CAMVID_ROOT=<folder> python tools/train.py CONFIG
Expected: nothing is published.
Status: unrun
"""

_base_ = '../camvid/kd_fpn-r18-w32_fpn-r18-w8.py'
model = dict(teacher_trainable=True, teacher_ckpt=None)
