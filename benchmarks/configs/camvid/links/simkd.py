"""SimKD: the student's head and what is compared; channels as in the pair of CNNs."""

last = 'decode_head.conv_seg'
links = dict(
    loss_simkd=dict(
        loss=dict(type='mmkd_ext.SimKDLoss', loss_weight=1.0),
        preds_S=dict(of='student', at=f'{last}.projector'),
        preds_T=dict(of='teacher', at=dict(type='ModuleInputs', source=last), item=0),
        deployed=dict(
            of='student', at=dict(type='Module', source=f'{last}.classifier')
        ),
        classifier=dict(of='teacher', at=dict(type='Module', source=last)),
    )
)
