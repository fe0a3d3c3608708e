"""TMU on moving digits: memories of two teachers, of moving boxes and moving blobs.

Paper: Unsupervised Transfer Learning for Spatiotemporal Predictive Networks, ICML 2020,
https://arxiv.org/abs/2009.11763; the weight of the links is ours.
Command: mmkd train CONFIG
Expected: MSE 10.07 +- 0.16 of 16 videos, 9.85 +- 0.12 of 1,000; alone 9.25
+- 0.25 and 8.92 +- 0.35 (seeds 0 to 2, CPU); benchmarks/results/tmu.json.
Status: measured
"""

_base_ = './convlstm_digits.py'
teachers = ('boxes', 'blobs')
# made by: mmkd train projects/tmu/configs/convlstm_digits.py --work-dir work_dirs/boxes
#   --cfg-options train_dataloader.dataset.kind=boxes
model = dict(
    _delete_=True,
    type='mmkd_ext.TeacherDistill',
    architecture=dict(_base_.model, bank=len(teachers)),
    teachers={
        name: dict(model=_base_.model, ckpt=f'work_dirs/{name}/iter_300.pth')
        for name in teachers
    },
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        links={
            f'loss_{name}': dict(
                loss=dict(type='mmkd_ext.MemoryLoss', loss_weight=0.001),
                preds_S=dict(of='student', at='cell', call='all', item=f'2.{k}'),
                preds_T=dict(of=name, at='cell', call='all', item=1),
            )
            for k, name in enumerate(teachers)
        },
    ),
)
