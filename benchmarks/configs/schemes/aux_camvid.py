"""An auxiliary head that learns from the main one, on CamVid.

Paper: Be Your Own Teacher, ICCV 2019, https://arxiv.org/abs/1905.08094, of which it is the
exit of a segmentor; tau and weight are KD's of pixels. No network teaches.
Command: CAMVID_ROOT=<folder> python tools/train.py CONFIG
Expected: nothing is published.
Status: unrun
"""

_base_ = ['../camvid/base_fpn-r18-w32_fpn-r18-w8.py', './links/aux.py']
model = dict(
    architecture=dict(auxiliary_head=_base_.auxiliary_head),
    teacher=None,
    teacher_ckpt=None,
    teachers={},
    distiller=_base_.distiller,
)
