"""ESPNetv2 of width 0.5 from Cityscapes, judged on CamVid without training.

Command: CAMVID_ROOT=... mmkd test CONFIG data/espnetv2/espnetv2-w05.pth
Expected: 46.6 mIoU on every third picture of train, 46.3 on every second of val, 30.7 on
dusk (benchmarks/espnetv2_oracle.py, CPU).
Status: measured
"""

_base_ = ['./_base_/espnetv2.py', './_base_/camvid-480x640_merged.py']
model = _base_.espnetv2.w05
