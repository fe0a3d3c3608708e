"""SKDS, pixel and pair-wise terms: what is compared, on either pair of CamVid."""

logits = 'decode_head.conv_seg'
feature = dict(at=dict(type='ModuleInputs', source='decode_head.dropout'), item=0)
links = dict(
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
)
