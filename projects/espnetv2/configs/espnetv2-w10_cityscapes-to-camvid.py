"""ESPNetv2 of width 1.0 from Cityscapes, judged on CamVid without training.

Command: CAMVID_ROOT=... mmkd test CONFIG data/espnetv2/espnetv2-w10.pth
Expected: 51.3 mIoU on every third picture of train, 49.0 on every second of val, 47.2 on
dusk (benchmarks/espnetv2_oracle.py, CPU).
Status: measured
"""

_base_ = ['./_base_/espnetv2.py', './_base_/camvid-480x640_merged.py']
model = _base_.espnetv2.w10
