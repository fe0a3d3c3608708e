"""ESPNetv2 of width 2.0 from Cityscapes, judged on CamVid without training.

Command: CAMVID_ROOT=... mmkd test CONFIG data/espnetv2/espnetv2-w20.pth
Expected: 56.4 mIoU on every third picture of train, 59.3 on every second of val, 44.1 on
dusk (benchmarks/espnetv2_oracle.py, CPU).
Status: measured
"""

_base_ = ['./_base_/espnetv2.py', './_base_/camvid-480x640_merged.py']
model = _base_.espnetv2.w20
