"""KD of pixels from a stored teacher: FPN on ResNet-18 on CamVid.

Paper: A Fast Knowledge Distillation Framework for Visual Recognition, ECCV 2022,
https://arxiv.org/abs/2112.01528; here for maps, of which each pixel is a prediction.
Command: mmkd store benchmarks/configs/camvid/stored/kd_fpn-r18-w32_fpn-r18-w8.py
--out work_dirs/stores/camvid_fpn_logits --epochs 8; then mmkd train with it
Expected: with 22 epochs stored (2,000 iterations), what the live teacher gives
Status: smoke
"""

_base_ = '../kd_fpn-r18-w32_fpn-r18-w8.py'
model = dict(teacher_store='work_dirs/stores/camvid_fpn_logits')
