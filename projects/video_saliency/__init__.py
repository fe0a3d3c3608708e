"""Where to look in a video; ``imports=['projects.video_saliency']`` in a config.

A small network with a branch for what things look like and one for how they move, toy
videos with made attention maps, and the metrics of maps.
"""

from projects.video_saliency.metric import AttentionMetric, FramesPerSecond
from projects.video_saliency.network import SaliencyNet
from projects.video_saliency.videos import AttentionVideos

__all__ = ['AttentionMetric', 'AttentionVideos', 'FramesPerSecond', 'SaliencyNet']
