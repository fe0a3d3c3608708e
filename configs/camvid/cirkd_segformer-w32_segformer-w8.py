"""CIRKD, first version: SegFormer on CamVid.

Paper: Cross-Image Relational Knowledge Distillation for Semantic Segmentation, CVPR
2022, https://arxiv.org/abs/2204.06986; weights of the authors' first version. Memories
of 500 pixels and 100 regions a class instead of 20000 and 2000, so that they fill in a
third of this short training, and 100 pixels a class drawn in a step.
Command: python tools/repeat.py benchmarks/experiments/camvid_segformer.py
Expected: not measured yet.
Status: unrun
"""

_base_ = './base_segformer-w32_segformer-w8.py'
logits = 'decode_head.conv_seg'
feature = dict(at=dict(type='ModuleInputs', source='decode_head.dropout'), item=0)
projected = dict(of='student', **feature, connector='projection')
taught = dict(of='teacher', **feature)
memory = dict(num_classes=11, channels=128, tau=0.1, loss_weight=0.1)
model = dict(
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        connectors=dict(
            projection=dict(
                type='mmkd_ext.CIRKDProjection', in_channels=32, out_channels=128
            )
        ),
        links=dict(
            loss_kd=dict(
                loss=dict(type='mmkd_ext.KDLoss', tau=1.0, loss_weight=1.0),
                preds_S=dict(of='student', at=logits),
                preds_T=dict(of='teacher', at=logits),
            ),
            loss_batch=dict(
                loss=dict(type='mmkd_ext.CIRKDMiniBatchLoss', tau=0.1, pool=2),
                preds_S=dict(of='student', **feature),
                preds_T=dict(of='teacher', **feature),
            ),
            loss_pixel=dict(
                loss=dict(
                    type='mmkd_ext.CIRKDPixelMemoryLoss',
                    size=500,
                    samples=100,
                    **memory,
                ),
                preds_S=projected,
                preds_T=taught,
                data_samples=dict(of='batch', at='data_samples'),
            ),
            loss_region=dict(
                loss=dict(type='mmkd_ext.CIRKDRegionMemoryLoss', size=100, **memory),
                preds_S=projected,
                preds_T=taught,
                data_samples=dict(of='batch', at='data_samples'),
            ),
        ),
    )
)
