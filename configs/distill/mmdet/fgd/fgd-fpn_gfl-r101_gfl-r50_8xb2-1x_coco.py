"""FGD on P3 to P7: GFL-R101 -> GFL-R50, COCO 1x.

Paper: Focal and Global Knowledge Distillation for Detectors, CVPR 2022,
https://arxiv.org/abs/2111.11837; weights of the authors' configs for one-stage
detectors with anchors (attention 5e-4, where the paper says 1e-3).
Command: bash tools/dist_train.sh CONFIG 8
Expected: 40.2 -> 43.5 AP (the authors' repository).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_1x.py',
    '../../../_base_/pairs/mmdet/gfl-r101_gfl-r50.py',
]
model = dict(
    inherit=['neck', 'bbox_head'],
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        links=dict(
            loss_fgd=dict(
                loss=dict(
                    type='mmkd_ext.FGDLoss',
                    channels=256,
                    levels=5,
                    weight_fg=1e-3,
                    weight_bg=5e-4,
                    weight_attention=5e-4,
                    weight_global=5e-6,
                    tau=0.5,
                ),
                preds_S=dict(of='student', at='neck'),
                preds_T=dict(of='teacher', at='neck'),
                data_samples=dict(of='batch', at='data_samples'),
            )
        ),
    ),
)
optim_wrapper = dict(optimizer=dict(lr=0.01), clip_grad=dict(max_norm=35, norm_type=2))
