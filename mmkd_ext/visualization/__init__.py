"""Figures of what links compare: feature, attention and mask maps.

`probe` runs student and teachers on one image, `columns` turns what a link compares
into maps, `figure` draws them, and `hook` does it during training.
"""
