"""AT on the last features: FPN on ResNet-18 on CamVid.

Paper: Paying More Attention to Attention, ICLR 2017, https://arxiv.org/abs/1612.03928;
weight 10000 as in CIRKD.
Command: python tools/repeat.py benchmarks/experiments/camvid_fpn.py
Expected: not measured yet.
Status: unrun
"""

_base_ = './base_fpn-r18-w32_fpn-r18-w8.py'
feature = dict(at=dict(type='ModuleInputs', source='decode_head.dropout'), item=0)
model = dict(
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        links=dict(
            loss_at=dict(
                loss=dict(type='mmkd_ext.ATLoss', p=2.0, loss_weight=1e4),
                preds_S=dict(of='student', **feature),
                preds_T=dict(of='teacher', **feature),
            ),
        ),
    )
)
