"""MGD on the last features: SegFormer on CamVid.

Paper: Masked Generative Distillation, ECCV 2022, https://arxiv.org/abs/2205.01529; mask
ratio 0.75 and weight 2e-5 as published for segmentation.
Command: python tools/repeat.py benchmarks/experiments/camvid_segformer.py
Expected: not measured yet.
Status: unrun
"""

_base_ = './base_segformer-w32_segformer-w8.py'
feature = dict(at=dict(type='ModuleInputs', source='decode_head.dropout'), item=0)
model = dict(
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        links=dict(
            loss_mgd=dict(
                loss=dict(type='mmkd_ext.MGDLoss', loss_weight=2e-5),
                preds_S=dict(
                    of='student',
                    **feature,
                    connector=dict(
                        type='mmkd_ext.MGDConnector',
                        in_channels=32,
                        channels=128,
                        mask_ratio=0.75,
                    ),
                ),
                preds_T=dict(of='teacher', **feature),
            ),
        ),
    )
)
