"""The drive at dusk alone, once: 62 frames in the order of time, at 640 x 480.

python benchmarks/adapt_grid.py benchmarks/experiments/<this file>

The networks and methods of adapt_espnetv2.py. No picture is squeezed, and a method has
62 frames to learn from.
"""

_base_ = './adapt_espnetv2.py'
name = 'adapt_espnetv2_dusk'
title = 'ESPNetv2-2.0 from Cityscapes on a drive at dusk, 62 frames'
options = {
    'test_cfg.rounds': 1,
    'test_cfg.order': "['dusk']",
    'test_cfg.pictures': 4,
    'test_cfg.domains.1.dataset.indices': None,
    'test_cfg.domains.1.dataset.pipeline.1.scale': '(640,480)',
}
