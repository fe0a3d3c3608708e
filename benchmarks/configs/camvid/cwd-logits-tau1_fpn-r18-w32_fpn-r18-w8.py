"""CWD on the logits with tau 1: FPN on ResNet-18 on CamVid.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; weight 3 as published, but tau 1 as in benchmarks/configs/demo.
Command: python benchmarks/repeat.py benchmarks/experiments/camvid_fpn.py
Expected: not measured with 2,000 iterations. With 200 it had 23.1 +- 1.6 mIoU on val
(seeds 0 to 2, 2 CPU cores), the student alone 20.1 +- 1.5.
Status: smoke
"""

_base_ = './cwd-logits_fpn-r18-w32_fpn-r18-w8.py'
model = dict(distiller=dict(links=dict(loss_cwd=dict(loss=dict(tau=1.0)))))
