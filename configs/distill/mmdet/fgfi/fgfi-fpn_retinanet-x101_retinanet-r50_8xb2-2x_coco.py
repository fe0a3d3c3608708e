"""FGFI around the anchors of the head: RetinaNet-X101 -> RetinaNet-R50, COCO 2x.

Paper: Distilling Object Detectors with Fine-grained Feature Imitation, CVPR 2019,
https://arxiv.org/abs/1906.03609; weight 0.01 is from memory and not verified.
Command: bash tools/dist_train.sh CONFIG 8
Expected: no published figure for this pair is known to us.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_2x.py',
    '../../../_base_/pairs/mmdet/retinanet-x101_retinanet-r50.py',
]
model = dict(
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        links=dict(
            loss_fgfi=dict(
                loss=dict(type='mmkd_ext.FGFILoss', loss_weight=0.01, threshold=0.5),
                preds_S=dict(
                    of='student',
                    at='neck',
                    connector=dict(
                        type='mmkd_ext.PerLevel',
                        levels=5,
                        connector=dict(
                            type='mmkd_ext.ConvAdapter',
                            in_channels=256,
                            out_channels=256,
                            kernel_size=3,
                            act=True,
                        ),
                    ),
                ),
                preds_T=dict(of='teacher', at='neck'),
                data_samples=dict(of='batch', at='data_samples'),
                head=dict(of='student', at=dict(type='Module', source='bbox_head')),
            )
        ),
    )
)
optim_wrapper = dict(optimizer=dict(lr=0.01))
