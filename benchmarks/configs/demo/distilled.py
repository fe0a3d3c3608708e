"""CWD on the logits on the toy street scenes: the student learns from the teacher.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; its tau is 4. Here tau 4 gained 0.7 mIoU at weight 3,
tau 1 gained 2.8 at weight 3 and 2.1 at weight 6 (one run each, seed 100, which is not
among the seeds below).
Command: make demo; repeated: python benchmarks/repeat.py benchmarks/experiments/demo.py
Expected: 22.1 +- 0.9 mIoU on val, 3.3 +- 1.3 above the student alone of the same seed
(seeds 0, 1, 2; 2 cores of an Intel Xeon shared with other work), `benchmarks/results/demo.json`.
Status: measured
"""

_base_ = [
    '../../../configs/_base_/tasks/streets_demo.py',
    '../../../configs/_base_/pairs/mmseg/fpn-r18-w32_fpn-r18-w8.py',
]
logits = 'decode_head.conv_seg'
model = dict(
    architecture=dict(data_preprocessor=dict(size=_base_.crop_size)),
    # made by: python tools/train.py benchmarks/configs/demo/teacher.py \
    #   --work-dir work_dirs/demo/teacher
    teacher_ckpt='work_dirs/demo/teacher/iter_800.pth',
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
