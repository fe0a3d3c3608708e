"""CWD on the last features: SegFormer on CamVid.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; weight 50 for features as published.
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
            loss_cwd=dict(
                loss=dict(type='mmkd_ext.CWDLoss', tau=1.0, loss_weight=50.0),
                preds_S=dict(of='student', **feature),
                preds_T=dict(of='teacher', **feature),
            ),
        ),
    )
)
