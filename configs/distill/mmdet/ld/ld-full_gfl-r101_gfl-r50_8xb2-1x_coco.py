"""LD on positives and VLR, and KD of the classes: GFL-R101 -> GFL-R50, COCO 1x.

Paper: Localization Distillation for Dense Object Detection, CVPR 2022,
https://arxiv.org/abs/2102.12252; LD weight 0.25, tau 10, KD weight 10, tau 2 as in the
authors' code, and so is what it calls DIoU in the VLR.
Command: bash tools/dist_train.sh CONFIG 8
Expected: 40.1 -> 42.1 AP (authors' README).
Status: unrun
"""

_base_ = './ld-main_gfl-r101_gfl-r50_8xb2-1x_coco.py'
model = dict(
    distiller=dict(
        links=dict(
            loss_ld_vlr=dict(
                loss=dict(
                    type='mmkd_ext.LDLoss', tau=10.0, avg_factor=16.0, loss_weight=0.25
                ),
                preds_S=dict(of='student', at='bbox_head', item=1),
                preds_T=dict(of='teacher', at='bbox_head', item=1),
                region=dict(
                    of='student',
                    at=dict(type='Module', source='bbox_head'),
                    connector=dict(
                        type='mmkd_ext.LDValuableRegion', published_diou=True
                    ),
                    given=dict(
                        logits=dict(of='student', at='bbox_head', item=0),
                        data_samples=dict(of='batch', at='data_samples'),
                    ),
                ),
            ),
            loss_kd=dict(
                loss=dict(type='mmkd_ext.LDClassLoss', tau=2.0, loss_weight=10.0),
                preds_S=dict(of='student', at='bbox_head', item=0),
                preds_T=dict(of='teacher', at='bbox_head', item=0),
                region={{_base_.model.distiller.links.loss_ld.region}},
            ),
        )
    )
)
