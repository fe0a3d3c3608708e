"""FGD on P3 to P7 and LD on the positives: GFL-R101 -> GFL-R50, COCO 1x.

Paper: Focal and Global Knowledge Distillation for Detectors, CVPR 2022,
https://arxiv.org/abs/2111.11837, with the main term of Localization Distillation for
Dense Object Detection, CVPR 2022, https://arxiv.org/abs/2102.12252; each with its own
weights.
Command: bash tools/dist_train.sh CONFIG 8
Expected: no published figure for the combination is known to us; FGD alone 43.5, LD
alone (main and VLR, with KD) 42.1 AP.
Status: unrun
"""

_base_ = './fgd-fpn_gfl-r101_gfl-r50_8xb2-1x_coco.py'
model = dict(
    distiller=dict(
        links=dict(
            loss_ld=dict(
                loss=dict(type='mmkd_ext.LDLoss', tau=10.0, loss_weight=0.25),
                preds_S=dict(of='student', at='bbox_head', item=1),
                preds_T=dict(of='teacher', at='bbox_head', item=1),
                region=dict(
                    of='student',
                    at=dict(type='Module', source='bbox_head'),
                    connector=dict(type='mmkd_ext.LDMainRegion'),
                    given=dict(
                        logits=dict(of='student', at='bbox_head', item=0),
                        targets=dict(
                            of='student',
                            at=dict(type='ModuleInputs', source='bbox_head.loss_cls'),
                            call='all',
                            item=1,
                        ),
                    ),
                ),
            )
        )
    )
)
