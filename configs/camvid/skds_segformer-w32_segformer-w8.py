"""SKDS, pixel and pair-wise terms: SegFormer on CamVid.

Paper: Structured Knowledge Distillation for Semantic Segmentation, CVPR 2019,
https://arxiv.org/abs/1903.04197; weights 10 and 0.5 as published, the pixel term a mean
over images.
Command: python tools/repeat.py benchmarks/experiments/camvid_segformer.py
Expected: not measured yet.
Status: unrun
"""

_base_ = './base_segformer-w32_segformer-w8.py'
logits = 'decode_head.conv_seg'
feature = dict(at=dict(type='ModuleInputs', source='decode_head.dropout'), item=0)
model = dict(
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        links=dict(
            loss_pixel=dict(
                loss=dict(type='mmkd_ext.KDLoss', tau=1.0, loss_weight=10.0),
                preds_S=dict(of='student', at=logits),
                preds_T=dict(of='teacher', at=logits),
            ),
            loss_pair=dict(
                loss=dict(type='mmkd_ext.SKDSPairwiseLoss', scale=0.5, loss_weight=0.5),
                preds_S=dict(of='student', **feature),
                preds_T=dict(of='teacher', **feature),
            ),
        ),
    )
)
