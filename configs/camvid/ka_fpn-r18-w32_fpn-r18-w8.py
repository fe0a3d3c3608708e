"""KA, stage two: FPN on ResNet-18 on CamVid.

Paper: Knowledge Adaptation for Efficient Semantic Segmentation, CVPR 2019,
https://arxiv.org/abs/1903.04688; weights 50 and 1 as published. Stage one comes first:
python tools/train.py configs/camvid/ka-autoencoder_fpn-r18-w32_fpn-r18-w8.py
Command: python tools/repeat.py benchmarks/experiments/camvid_fpn.py
Expected: not measured yet.
Status: unrun
"""

_base_ = './base_fpn-r18-w32_fpn-r18-w8.py'
feature = dict(at=dict(type='ModuleInputs', source='decode_head.dropout'), item=0)
adapter = dict(
    type='mmkd_ext.ConvAdapter',
    in_channels=8,
    out_channels=16,
    kernel_size=3,
    norm=True,
    act=True,
)
model = dict(
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        connectors=dict(
            encoder=dict(
                type='mmkd_ext.KAEncoder',
                channels=32,
                widths=(32, 16, 16),
                strides=(2, 2, 2),
                teacher=_base_.model.teacher_ckpt,
                stage_one='configs/camvid/ka-autoencoder_fpn-r18-w32_fpn-r18-w8.py',
            )
        ),
        links=dict(
            loss_adapt=dict(
                loss=dict(type='mmkd_ext.KAAdaptLoss', p=1.0, q=2.0, loss_weight=50.0),
                preds_S=dict(of='student', **feature, connector=adapter),
                preds_T=dict(of='teacher', **feature, connector='encoder'),
            ),
            loss_affinity=dict(
                loss=dict(type='mmkd_ext.KAAffinityLoss', loss_weight=1.0),
                preds_S=dict(of='student', **feature, connector=adapter),
                preds_T=dict(of='teacher', **feature, connector='encoder'),
            ),
        ),
    )
)
