"""The toy distillation with mistakes of many kinds."""

_base_ = './toy.py'
logits = 'head.conv_seg'
model = dict(
    distiller=dict(
        links=dict(
            _delete_=True,
            loss_cwd=dict(
                loss=dict(type='mmkd_ext.CWDLoss', tua=4.0),
                preds_S=dict(of='student', at='head.conv_sge'),
                preds_T=dict(of='teacher', at=logits),
            ),
            cwd=dict(
                loss=dict(type='mmkd_ext.CWDLoss'),
                preds_S=dict(of='student', at=logits),
                preds_T=dict(of='teacher', at=logits),
            ),
            loss_kd=dict(
                loss=dict(type='mmkd_ext.KDLos'),
                preds_S=dict(of='student', at=logits),
                preds_T=dict(of='teacher', at=logits),
            ),
            loss_neck=dict(
                loss=dict(type='mmkd_ext.CWDLoss'),
                preds_S=dict(of='student', at='neck.convs'),
                preds_T=dict(of='teacher', at='neck', item=0),
            ),
            loss_half=dict(
                loss=dict(type='mmkd_ext.CWDLoss'),
                preds_S=dict(of='student', at=logits),
            ),
            loss_pyramid=dict(
                loss=dict(type='mmkd_ext.FitNetsLoss'),
                preds_S=dict(of='student', at='neck'),
                preds_T=dict(of='teacher', at='neck', item=[0, 1]),
                schedule=dict(type='liner', end=5),
            ),
        ),
    ),
)
optimizer_config = dict(grad_clip=dict(max_norm=35))
load_from = 'work_dirs/nowhere.pth'
