"""CWD on the logits with tau 1: SegFormer on CamVid.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; weight 3 as published, but tau 1 as in benchmarks/configs/demo.
Command: python benchmarks/repeat.py benchmarks/experiments/camvid_segformer.py
Expected: 19.0 +- 1.1 mIoU on val (seeds 0 to 2, 2 CPU cores); the student alone
18.4 +- 0.2.
Status: measured
"""

_base_ = './cwd-logits_segformer-w32_segformer-w8.py'
model = dict(distiller=dict(links=dict(loss_cwd=dict(loss=dict(tau=1.0)))))
