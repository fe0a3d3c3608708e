"""Links: DeFeat on the levels of the neck and on the class scores of a RoI head."""

# what the student's classification loss sees: scores and labels of its proposals
cls_inputs = dict(type='ModuleInputs', source='roi_head.bbox_head.loss_cls')
pooling = dict(type='ModuleInputs', source='roi_head.bbox_roi_extractor')
distiller = dict(
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
                    rois=dict(of='student', at=pooling, item=1),
                ),
            ),
            labels=dict(of='student', at=cls_inputs, item=1),
        ),
    ),
)
