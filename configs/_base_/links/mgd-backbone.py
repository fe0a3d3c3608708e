"""Links: MGD on the last stage of the backbone, CWD on the logits."""

logits = 'decode_head.conv_seg'
last_stage = dict(at='backbone', item=3)
generator = dict(
    type='mmkd_ext.MGDConnector', in_channels=512, channels=2048, mask_ratio=0.75
)
distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_mgd=dict(
            loss=dict(type='mmkd_ext.MGDLoss', loss_weight=2e-5),
            preds_S=dict(of='student', connector=generator, **last_stage),
            preds_T=dict(of='teacher', **last_stage),
        ),
        loss_cwd=dict(
            loss=dict(type='mmkd_ext.CWDLoss', tau=4.0, loss_weight=3.0),
            preds_S=dict(of='student', at=logits),
            preds_T=dict(of='teacher', at=logits),
        ),
    ),
)
