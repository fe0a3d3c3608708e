"""CWD on the logits: SegFormer-B4 -> SegFormer-B0, Cityscapes.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; tau 4 and weight 3 from the authors' scripts, whose
logits have stride 8; here it is 4. Schedule of mmseg's SegFormer.
Command: bash tools/dist_train.sh CONFIG 8
Expected: no figure for these settings is known to us. CIRKD's authors measured 75.58 ->
74.80 mIoU with weights of 0.3 on logits and 5 on features, KD and adversary beside them.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-1024x1024_160k-segformer.py',
    '../../../_base_/pairs/mmseg/segformer-b4_segformer-b0.py',
]
logits = 'decode_head.conv_seg'
model = dict(
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        links=dict(
            loss_cwd=dict(
                loss=dict(type='mmkd_ext.CWDLoss', tau=4.0, loss_weight=3.0),
                preds_S=dict(of='student', at=logits),
                preds_T=dict(of='teacher', at=logits),
            )
        ),
    )
)
