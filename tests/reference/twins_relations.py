"""Slow twins of the relations across images: plain loops.

Written from the equations, without looking at the fast ones; no tensors, no numpy.
Maps are indexed ``[n][c][h][w]``.
"""

from __future__ import annotations

from math import exp, log, sqrt


def pixels(image):
    """Returns the feature of each position of an image, row by row."""
    height, width = len(image[0]), len(image[0][0])
    return [[channel[y][x] for channel in image]
            for y in range(height) for x in range(width)]


def channels(image):
    """Returns each channel of an image as one vector."""
    return [[value for row in channel for value in row] for channel in image]


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def unit(a):
    length = sqrt(dot(a, a))
    return [x / length if length else 0.0 for x in a]


def softmax(scores):
    top = max(scores)
    powers = [exp(score - top) for score in scores]
    return [power / sum(powers) for power in powers]


def row_divergence(own_s, others_s, own_t, others_t, tau):
    """KL(T||S) of one feature's relations to others, which are taken as they are."""
    q = softmax([dot(unit(own_s), other) / tau for other in others_s])
    p = softmax([dot(unit(own_t), other) / tau for other in others_t])
    return sum(a * log(a / b) for a, b in zip(p, q))


def relation_divergence(student, teacher, tau, parts):
    """For each image and part (pixel or channel) the mean over all images: ``[n][m]``.

    ``parts`` cuts an image into what is compared.
    """
    s, t = ([parts(image) for image in side] for side in (student, teacher))
    found = []
    for i in range(len(s)):
        row = []
        for a in range(len(s[i])):
            total = 0.0
            for j in range(len(s)):
                total += row_divergence(
                    s[i][a], [unit(other) for other in s[j]],
                    t[i][a], [unit(other) for other in t[j]], tau)
            row.append(total / len(s))
        found.append(row)
    return found


def pixel_relation_divergence(student, teacher, tau):
    """CIRKD, mini-batch pixel relations: ``[n][hw]``."""
    return relation_divergence(student, teacher, tau, pixels)


def channel_relation_divergence(student, teacher, tau):
    """CIRKD's second version, channel relations: ``[n][c]``."""
    return relation_divergence(student, teacher, tau, channels)


def contrast_divergence(student, teacher, keys, tau):
    """For each feature its divergence over the keys: ``[m]``."""
    if not keys:
        return [0.0 for _ in student]
    return [row_divergence(s, keys, t, keys, tau) for s, t in zip(student, teacher)]
