"""LD's feature imitation at general instances: GFL-R101 -> GFL-R50, COCO 1x.

Paper: Localization Distillation for Dense Object Detection, CVPR 2022,
https://arxiv.org/abs/2102.12252; weight 2 as in the authors' code (`gibox`), and so is
that a level without a positive anchor counts 0.
Command: bash tools/dist_train.sh CONFIG 8
Expected: 40.1 -> 41.5 AP, imitation alone (authors' README).
Status: unrun
"""

_base_ = './ld-main_gfl-r101_gfl-r50_8xb2-1x_coco.py'
model = dict(
    distiller=dict(
        links=dict(
            _delete_=True,
            loss_im=dict(
                loss=dict(type='mmkd_ext.LDImitationLoss', loss_weight=2.0),
                preds_S=dict(of='student', at='neck'),
                preds_T=dict(of='teacher', at='neck'),
                region=dict(
                    of='student',
                    at=dict(type='Module', source='bbox_head'),
                    connector=dict(type='mmkd_ext.LDGIRegion'),
                    given=dict(
                        logits_S=dict(of='student', at='bbox_head', item=0),
                        logits_T=dict(of='teacher', at='bbox_head', item=0),
                        bins_S=dict(of='student', at='bbox_head', item=1),
                        bins_T=dict(of='teacher', at='bbox_head', item=1),
                    ),
                ),
                positives={{_base_.model.distiller.links.loss_ld.region}},
            ),
        )
    )
)
