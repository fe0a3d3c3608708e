"""Memory transfer over time; ``custom_imports = dict(imports=['projects.tmu'])``.

A recurrent network that predicts the next frames of a video and takes over the memories
of other ones, toy videos made from an index, and the error of what it predicts.
"""

from projects.tmu.metric import NextFrameError
from projects.tmu.network import ConvLSTM, MemoryCell, MemoryLoss
from projects.tmu.videos import MovingSprites, bounce

__all__ = [
    'ConvLSTM',
    'MemoryCell',
    'MemoryLoss',
    'MovingSprites',
    'NextFrameError',
    'bounce',
]
