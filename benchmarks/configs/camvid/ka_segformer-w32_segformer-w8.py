"""KA, stage two: SegFormer on CamVid.

Paper: Knowledge Adaptation for Efficient Semantic Segmentation, CVPR 2019,
https://arxiv.org/abs/1903.04688; weights 50 and 1 as published. Stage one comes first:
python tools/train.py benchmarks/configs/camvid/ka-autoencoder_segformer-w32_segformer-w8.py
Command: python benchmarks/repeat.py benchmarks/experiments/camvid_segformer.py
Expected: 16.6 +- 0.4 mIoU on val (seeds 0 to 2, 2 CPU cores); the student alone
18.4 +- 0.2.
Status: measured
"""

_base_ = ['./base_segformer-w32_segformer-w8.py', './links/ka.py']
_base_.code.update(channels=128, widths=(128, 64, 64))
_base_.sides.preds_S.connector.update(in_channels=32, out_channels=64)
model = dict(
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        connectors=dict(
            encoder=dict(
                type='mmkd_ext.KAEncoder',
                **_base_.code,
                teacher=_base_.model.teacher_ckpt,
                stage_one='benchmarks/configs/camvid/ka-autoencoder_segformer-w32_segformer-w8.py',
            )
        ),
        links=dict(
            loss_adapt=dict(loss=_base_.losses.loss_adapt, **_base_.sides),
            loss_affinity=dict(loss=_base_.losses.loss_affinity, **_base_.sides),
        ),
    )
)
