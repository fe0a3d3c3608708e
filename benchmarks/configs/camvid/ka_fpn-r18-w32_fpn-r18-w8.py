"""KA, stage two: FPN on ResNet-18 on CamVid.

Paper: Knowledge Adaptation for Efficient Semantic Segmentation, CVPR 2019,
https://arxiv.org/abs/1903.04688; weights 50 and 1 as published. Stage one comes first:
python tools/train.py benchmarks/configs/camvid/ka-autoencoder_fpn-r18-w32_fpn-r18-w8.py
Command: python benchmarks/repeat.py benchmarks/experiments/camvid_fpn.py
Expected: not measured with 2,000 iterations. With 200 it had 15.7 +- 0.8 mIoU on val
(seeds 0 to 2, 2 CPU cores), the student alone 20.1 +- 1.5.
Status: smoke
"""

_base_ = ['./base_fpn-r18-w32_fpn-r18-w8.py', './links/ka.py']
model = dict(
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        connectors=dict(
            encoder=dict(
                type='mmkd_ext.KAEncoder',
                **_base_.code,
                teacher=_base_.model.teacher_ckpt,
                stage_one='benchmarks/configs/camvid/ka-autoencoder_fpn-r18-w32_fpn-r18-w8.py',
            )
        ),
        links=dict(
            loss_adapt=dict(loss=_base_.losses.loss_adapt, **_base_.sides),
            loss_affinity=dict(loss=_base_.losses.loss_affinity, **_base_.sides),
        ),
    )
)
