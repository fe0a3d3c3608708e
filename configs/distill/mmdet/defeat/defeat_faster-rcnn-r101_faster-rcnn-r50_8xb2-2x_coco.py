"""DeFeat on neck and RoI head: Faster R-CNN-R101 -> Faster R-CNN-R50, COCO 2x.

Paper: Distilling Object Detectors via Decoupled Features, CVPR 2021,
https://arxiv.org/abs/2103.14475; neck weights and clipping at 35 of the authors'
Pascal VOC config, head weights of their code; those of COCO are not published.
Command: bash tools/dist_train.sh CONFIG 8
Expected: 38.4 -> 40.3 AP for this pair, reported by later papers; the weights
behind it are not known to us.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_2x.py',
    '../../../_base_/pairs/mmdet/faster-rcnn-r101_faster-rcnn-r50.py',
]
# what the student's classification loss sees: scores and labels of its proposals
cls_inputs = dict(type='ModuleInputs', source='roi_head.bbox_head.loss_cls')
model = dict(
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        links=dict(
            loss_neck=dict(
                loss=dict(type='mmkd_ext.DeFeatLoss', weight_fg=3.0, weight_bg=12.0),
                preds_S=dict(
                    of='student',
                    at='neck',
                    connector=dict(
                        type='mmkd_ext.PerLevel',
                        levels=5,
                        connector=dict(type='mmkd_ext.DeFeatAdapter', in_channels=256),
                    ),
                ),
                preds_T=dict(of='teacher', at='neck'),
                data_samples=dict(of='batch', at='data_samples'),
            ),
            loss_cls=dict(
                loss=dict(type='mmkd_ext.DeFeatHeadLoss', weight_fg=2.0, weight_bg=2.0),
                preds_S=dict(of='student', at=cls_inputs, item=0),
                preds_T=dict(
                    of='teacher',
                    at='neck',
                    connector=dict(type='mmkd_ext.RoIClassify'),
                    given=dict(
                        roi_head=dict(
                            of='teacher', at=dict(type='Module', source='roi_head')
                        ),
                        rois=dict(
                            of='student',
                            at=dict(
                                type='ModuleInputs',
                                source='roi_head.bbox_roi_extractor',
                            ),
                            item=1,
                        ),
                    ),
                ),
                labels=dict(of='student', at=cls_inputs, item=1),
            ),
        ),
    )
)
optim_wrapper = dict(optimizer=dict(lr=0.02), clip_grad=dict(max_norm=35, norm_type=2))
