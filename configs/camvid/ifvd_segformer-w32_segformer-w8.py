"""IFVD: SegFormer on CamVid.

Paper: Intra-class Feature Variation Distillation for Semantic Segmentation, ECCV 2020,
https://www.ecva.net/papers/eccv_2020/papers_ECCV/papers/123520341.pdf; weights 200 and,
as a mean over pixels and 11 classes, 10 from the authors' code.
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
                loss=dict(type='mmkd_ext.KDLoss', tau=1.0, loss_weight=10 / 11),
                preds_S=dict(of='student', at=logits),
                preds_T=dict(of='teacher', at=logits),
            ),
            loss_ifvd=dict(
                loss=dict(type='mmkd_ext.IFVDLoss', num_classes=11, loss_weight=200.0),
                preds_S=dict(of='student', **feature),
                preds_T=dict(of='teacher', **feature),
                data_samples=dict(of='batch', at='data_samples'),
            ),
        ),
    )
)
