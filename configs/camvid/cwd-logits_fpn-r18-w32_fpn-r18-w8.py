"""CWD on the logits on CamVid: an eighth of a ResNet-18 learns from half of one.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; tau and weight as in configs/demo, not tuned here.
Command: python tools/repeat.py benchmarks/experiments/camvid_cwd.py
Expected: 35.9 +- 1.3 mIoU on val and 31.3 +- 1.4 on dusk, 10.1 +- 2.2 and 8.2 +- 2.1
above the student alone of the same seed (seeds 0, 1, 2; 2 cores of an Intel Xeon shared with other work),
`benchmarks/results/camvid_cwd.json`. What grows is above all the speed of
learning: with twice the iterations (800, seed 0 only) the student alone reaches 37.0 on
val and 30.9 on dusk, the distilled one 41.1 and 32.1, so the gain falls from 12.5 to 4.1
on val and from 9.3 to 1.2 on dusk.
Status: measured
"""

_base_ = [
    '../_base_/tasks/camvid-180x240.py',
    '../_base_/pairs/mmseg/fpn-r18-w32_fpn-r18-w8.py',
]
logits = 'decode_head.conv_seg'
model = dict(
    architecture=dict(
        data_preprocessor=dict(size=_base_.crop_size),
        decode_head=dict(num_classes=11),
    ),
    teacher=dict(decode_head=dict(num_classes=11)),
    teacher_ckpt='work_dirs/repeat/camvid_cwd/teacher/iter_2400.pth',
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        links=dict(
            loss_cwd=dict(
                loss=dict(type='mmkd_ext.CWDLoss', tau=1.0, loss_weight=3.0),
                preds_S=dict(of='student', at=logits),
                preds_T=dict(of='teacher', at=logits),
            )
        ),
    ),
)
