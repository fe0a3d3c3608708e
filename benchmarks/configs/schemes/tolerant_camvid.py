"""The tolerant teacher on CamVid: it is trained to be one, then it teaches.

Paper: Training Deep Neural Networks in Generations, AAAI 2019,
https://arxiv.org/abs/1805.05551; it has no segmentation.
Command: CAMVID_ROOT=<folder> mmkd chain CONFIG
Expected: nothing is published.
Status: unrun
"""

chain = [
    dict(name='teacher', config='../camvid/tolerant_fpn-r18-w32_fpn-r18-w8.py'),
    dict(
        name='student',
        config='../camvid/kd_fpn-r18-w32_fpn-r18-w8.py',
        teacher='teacher',
    ),
]
