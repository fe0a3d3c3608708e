"""Across resolution: what is compared, for a student of half the teacher's size.

Level `l` of the student's neck and `l + 1` of the teacher's have the same cells.
"""

logits = 'decode_head.conv_seg'
last = dict(at=dict(type='ModuleInputs', source='decode_head.dropout'), item=0)
features = dict(preds_S=dict(of='student', **last), preds_T=dict(of='teacher', **last))
outputs = dict(
    preds_S=dict(of='student', at=logits), preds_T=dict(of='teacher', at=logits)
)
links = dict(
    loss_kd=dict(loss=dict(type='mmkd_ext.KDLoss', loss_weight=1.0), **outputs),
    loss_feature=dict(
        loss=dict(type='mmkd_ext.PKDLoss', loss_weight=1.0),
        preds_S=dict(of='student', at='neck', item=[0, 1, 2]),
        preds_T=dict(of='teacher', at='neck', item=[1, 2, 3]),
    ),
    loss_pair=dict(
        loss=dict(type='mmkd_ext.SKDSPairwiseLoss', scale=0.5, loss_weight=0.5),
        **features,
    ),
    loss_relation=dict(
        loss=dict(type='mmkd_ext.RKDDistanceLoss', regions=4, loss_weight=0.1),
        **features,
    ),
    loss_adversarial=dict(
        loss=dict(
            type='mmkd_ext.SKDSHolisticLoss',
            channels=11,
            discriminator_weight=1.0,
            loss_weight=0.001,
        ),
        **outputs,
    ),
)
