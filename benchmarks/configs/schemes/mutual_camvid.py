"""Deep mutual learning of two widths of semantic FPN on CamVid.

Paper: Deep Mutual Learning, CVPR 2018, https://arxiv.org/abs/1706.00384; it has no
segmentation. Here each pixel is a sample.
Command: CAMVID_ROOT=<folder> python tools/train.py CONFIG
Expected: nothing is published.
Status: unrun
"""

_base_ = '../camvid/base_fpn-r18-w32_fpn-r18-w8.py'
model = dict(
    type='mmkd_ext.MutualDistill',
    teacher=None,
    teacher_ckpt=None,
    teachers=dict(wide=dict(model=_base_.model.teacher)),
    at='decode_head.conv_seg',
)
