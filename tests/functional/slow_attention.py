"""Twins of the attentions, in plain loops from the equations."""

from __future__ import annotations

from math import exp


def softmax(values):
    powers = [exp(value) for value in values]
    return [power / sum(powers) for power in powers]


def slow_spatial_attention(feature, tau):
    """FGD, spatial attention ``[n][h][w]``."""
    result = []
    for image in feature:
        channels, height, width = len(image), len(image[0]), len(image[0][0])
        strength = [
            sum(abs(image[c][y][x]) for c in range(channels)) / channels / tau
            for y in range(height) for x in range(width)]
        flat = [height * width * p for p in softmax(strength)]
        result.append([flat[y * width : (y + 1) * width] for y in range(height)])
    return result


def slow_channel_attention(feature, tau):
    """FGD, channel attention ``[n][c]``."""
    result = []
    for image in feature:
        strength = [
            sum(abs(v) for row in channel for v in row) / (
                len(channel) * len(channel[0])) / tau
            for channel in image]
        result.append([len(image) * p for p in softmax(strength)])
    return result
