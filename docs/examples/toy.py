"""A distillation of toy models, for the docs: builds in a moment, needs no files."""

logits = 'head.conv_seg'
model = dict(
    type='mmkd_ext.TeacherDistill',
    architecture=dict(type='mmkd_ext.ToyModel', channels=8),
    teacher=dict(type='mmkd_ext.ToyModel', channels=16),
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        links=dict(
            loss_cwd=dict(
                loss=dict(type='mmkd_ext.CWDLoss', tau=4.0, loss_weight=3.0),
                preds_S=dict(of='student', at=logits),
                preds_T=dict(of='teacher', at=logits),
            ),
            loss_hint=dict(
                loss=dict(type='mmkd_ext.FitNetsLoss'),
                preds_S=dict(of='student', at='neck'),
                preds_T=dict(of='teacher', at='neck'),
            ),
        ),
    ),
)
train_dataloader = dict(
    batch_size=2,
    sampler=dict(type='InfiniteSampler'),
    dataset=dict(type='mmkd_ext.ToyDataset', length=8),
)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=10)
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9)
)
custom_imports = dict(imports=['mmkd_ext.testing.toy'])
