"""Novel classes; ``custom_imports = dict(imports=['projects.novel_classes'])``.

A classifier with a head for known and one for novel classes, the balanced assignment
that the latter learns from, and a metric for both.
"""

from projects.novel_classes.head import NovelClassHead, sinkhorn
from projects.novel_classes.metric import NovelAccuracy, matched

__all__ = ['NovelAccuracy', 'NovelClassHead', 'matched', 'sinkhorn']
