"""IFVD: what is compared, on either pair of CamVid."""

logits = 'decode_head.conv_seg'
feature = dict(at=dict(type='ModuleInputs', source='decode_head.dropout'), item=0)
links = dict(
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
)
