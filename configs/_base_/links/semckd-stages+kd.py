"""Links: SemCKD of the stages of a classifier, and KD of weight 1."""

distiller = dict(
    type='mmkd_ext.LinkDistiller',
    links=dict(
        loss_semckd=dict(
            loss=dict(
                type='mmkd_ext.SemCKDLoss',
                student_channels=(64, 128, 256),
                teacher_channels=(64, 128, 256),
                batch_size=64,
                loss_weight=400.0,
            ),
            preds_S=dict(of='student', at='backbone'),
            preds_T=dict(of='teacher', at='backbone'),
        ),
        loss_kd=dict(
            loss=dict(type='mmkd_ext.KDLoss', tau=4.0, loss_weight=1.0),
            preds_S=dict(of='student', at='head'),
            preds_T=dict(of='teacher', at='head'),
        ),
    ),
)
