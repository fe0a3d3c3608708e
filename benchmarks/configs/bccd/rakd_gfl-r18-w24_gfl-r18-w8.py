"""Inspired by RAKD, 640 x 480 -> 320 x 240: GFL on BCCD.

Paper: Resolution-Aware Knowledge Distillation for Efficient Inference, IEEE TIP 2021. Only
its abstract is public: terms, taps and weights are ours, see docs/howto/transfer.md.
Command: BCCD_ROOT=... python tools/train.py CONFIG
Expected: not measured with 1,500 iterations. With 200 it had no figure yet..
Status: smoke
"""

_base_ = ['./base_480x640.py', './links/rakd.py']
model = dict(
    student_input=dict(scale=0.5),
    # made by: BCCD_ROOT=<folder> python tools/train.py \
    #   benchmarks/configs/bccd/teacher-480x640_gfl-r18-w24.py \
    #   --work-dir work_dirs/repeat/bccd_resolution/teacher
    teacher_ckpt='work_dirs/repeat/bccd_resolution/teacher/iter_3000.pth',
    distiller=_base_.distiller,
)
