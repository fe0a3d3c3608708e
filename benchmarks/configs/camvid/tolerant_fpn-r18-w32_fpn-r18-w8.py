"""A tolerant teacher, trained before it teaches: FPN on ResNet-18 on CamVid.

Paper: Training Deep Neural Networks in Generations, AAAI 2019,
https://arxiv.org/abs/1805.05551; eta 0.6 and the 5 highest scores, both not verified; it
has no segmentation. The teacher of the pair stands in the student's place and no network
teaches; the file that it leaves teaches in kd_fpn-r18-w32_fpn-r18-w8.py.
Command: python tools/train.py benchmarks/configs/camvid/tolerant_fpn-r18-w32_fpn-r18-w8.py
Expected: nothing is published.
Status: unrun
"""

_base_ = ['./base_fpn-r18-w32_fpn-r18-w8.py', './links/tolerant.py']
model = dict(
    architecture=dict(
        backbone=dict(stem_channels=32, base_channels=32),
        neck=dict(in_channels=[32, 64, 128, 256], out_channels=64),
        decode_head=dict(
            in_channels=[64] * 4, channels=32, loss_decode=dict(loss_weight=0.6)
        ),
    ),
    teacher=None,
    teacher_ckpt=None,
    teachers={},
    distiller=dict(type='mmkd_ext.LinkDistiller', links=_base_.links),
)
