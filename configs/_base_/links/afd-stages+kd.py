"""Links: AFD of the stages of a classifier, and KD of weight 0.9."""

distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_afd=dict(
            loss=dict(
                type='mmkd_ext.AFDLoss',
                student_channels=(32, 64, 128),
                teacher_channels=(32, 64, 128),
                width=128,
                loss_weight=200.0,
            ),
            preds_S=dict(of='student', at='backbone'),
            preds_T=dict(of='teacher', at='backbone'),
        ),
        loss_kd=dict(
            loss=dict(type='mmkd_ext.KDLoss', tau=4.0, loss_weight=0.9),
            preds_S=dict(of='student', at='head'),
            preds_T=dict(of='teacher', at='head'),
        ),
    ),
)
