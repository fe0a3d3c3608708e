"""Two teachers on CamVid, trusted at each pixel as they predict its label.

Paper: Confidence-Aware Multi-Teacher Knowledge Distillation, ICASSP 2022,
https://arxiv.org/abs/2201.00007; it has no segmentation. The second is of SegFormer's.
Command: CAMVID_ROOT=<folder> python tools/train.py CONFIG
Expected: nothing is published.
Status: unrun
"""

_base_ = ['../camvid/base_fpn-r18-w32_fpn-r18-w8.py', './links/teachers.py']
model = dict(
    teacher=None,
    teacher_ckpt=None,
    teachers=_base_.teachers,
    distiller=_base_.distiller,
)
