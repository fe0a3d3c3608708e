"""Links: KA's stage one, an auto-encoder of the teacher's feature.

`loss.teacher` is the teacher's checkpoint, which the pair says.
"""

feature = dict(of='teacher', at='decode_head.bottleneck')
distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_ka=dict(
            loss=dict(
                type='mmkd_ext.KAReconstructionLoss',
                channels=512,
                widths=(256, 128, 128),
                strides=(2, 2, 2),
                alpha=1e-7,
            ),
            preds_S=feature,
            preds_T=feature,
        )
    ),
)
