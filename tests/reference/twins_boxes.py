"""Slow twins of attention and of boxes: plain loops, straight from the equations.

Written from the papers, without looking at the fast ones; no tensors, no numpy.
Features are indexed ``[n][c][h][w]``, boxes ``[n][b][4]``.
"""

from __future__ import annotations

from math import ceil, exp, floor, log2, sqrt


def softmax(values):
    powers = [exp(value) for value in values]
    return [power / sum(powers) for power in powers]


def spatial_attention(feature, tau):
    """FGD, spatial attention ``[n][h][w]``."""
    result = []
    for image in feature:
        channels, height, width = len(image), len(image[0]), len(image[0][0])
        strength = [
            sum(abs(image[c][y][x]) for c in range(channels)) / channels / tau
            for y in range(height)
            for x in range(width)
        ]
        flat = [height * width * p for p in softmax(strength)]
        result.append([flat[y * width : (y + 1) * width] for y in range(height)])
    return result


def channel_attention(feature, tau):
    """FGD, channel attention ``[n][c]``."""
    result = []
    for image in feature:
        strength = [
            sum(abs(v) for row in channel for v in row)
            / (len(channel) * len(channel[0]))
            / tau
            for channel in image
        ]
        result.append([len(image) * p for p in softmax(strength)])
    return result


def counts(box, size):
    """Whether a box has area and reaches into its image."""
    x0, y0, x1, y1 = box
    return x1 > x0 and y1 > y0 and x1 > 0 and y1 > 0 and x0 < size[1] and y0 < size[0]


def zeros(map_size):
    return [[0.0] * map_size[1] for _ in range(map_size[0])]


def scale_mask(boxes, sizes, map_size):
    """FGD, scale mask: box after box, cell after cell."""
    result = []
    for image, (image_h, image_w) in zip(boxes, sizes):
        mask = zeros(map_size)
        for box in image:
            if not counts(box, (image_h, image_w)):
                continue
            left = floor(box[0] * map_size[1] / image_w)
            top = floor(box[1] * map_size[0] / image_h)
            right = ceil(box[2] * map_size[1] / image_w)
            bottom = ceil(box[3] * map_size[0] / image_h)
            value = 1 / ((bottom + 1 - top) * (right + 1 - left))
            for y in range(map_size[0]):
                for x in range(map_size[1]):
                    if top <= y <= bottom and left <= x <= right:
                        mask[y][x] = max(mask[y][x], value)
        result.append(mask)
    return result


def background_mask(foreground):
    """FGD, background mask: shared by the cells without a box."""
    result = []
    for image in foreground:
        free = sum(1 for row in image for v in row if v == 0)
        result.append([[1 / free if v == 0 else 0.0 for v in row] for row in image])
    return result


def box_mask(boxes, sizes, map_size):
    """DeFeat, cells that a box touches."""
    result = []
    for image, (image_h, image_w) in zip(boxes, sizes):
        mask = zeros(map_size)
        for box in image:
            if not counts(box, (image_h, image_w)):
                continue
            for y in range(map_size[0]):
                for x in range(map_size[1]):
                    # the open cell and the open box overlap
                    below = box[3] * map_size[0] / image_h > y
                    above = box[1] * map_size[0] / image_h < y + 1
                    right = box[2] * map_size[1] / image_w > x
                    left = box[0] * map_size[1] / image_w < x + 1
                    if below and above and right and left:
                        mask[y][x] = 1.0
        result.append(mask)
    return result


def box_levels(boxes, levels, finest_scale):
    """FPN's rule of levels, with mmdet's 1e-6."""
    result = []
    for x0, y0, x1, y1 in boxes:
        scale = sqrt(max(0, x1 - x0) * max(0, y1 - y0))
        level = floor(log2(scale / finest_scale + 1e-6))
        result.append(min(max(level, 0), levels - 1))
    return result


def area(box):
    return max(0, box[2] - box[0]) * max(0, box[3] - box[1])


def iou(a, b):
    both = area([max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])])
    union = area(a) + area(b) - both
    return both / union if union else 0.0


def box_iou(boxes_a, boxes_b):
    """Overlap of each pair ``[a][b]``."""
    return [[iou(a, b) for b in boxes_b] for a in boxes_a]


def box_iof(boxes_a, boxes_b):
    """Share of the first box that lies in the second, ``[a][b]``."""
    result = []
    for a in boxes_a:
        area = max(a[2] - a[0], 0) * max(a[3] - a[1], 0)
        row = []
        for b in boxes_b:
            width = max(min(a[2], b[2]) - max(a[0], b[0]), 0)
            height = max(min(a[3], b[3]) - max(a[1], b[1]), 0)
            row.append(width * height / area if area > 0 else 0.0)
        result.append(row)
    return result


def imitation_masks(anchors, boxes, map_sizes, threshold):
    """FGFI, for each level ``[n][h][w]``."""
    result = []
    for level, (height, width) in zip(anchors, map_sizes):
        each = len(level) // (height * width)
        masks = []
        for image in boxes:
            mask = zeros((height, width))
            for box in image:
                best = max(iou(a, box) for other in anchors for a in other)
                for index, anchor in enumerate(level):
                    if iou(anchor, box) > threshold * best:
                        cell = index // each
                        mask[cell // width][cell % width] = 1.0
            masks.append(mask)
        result.append(masks)
    return result


def cells(mask):
    return [v for row in mask for v in row]


def context(image, where_w, where_b, w1, b1, norm_w, norm_b, w2, b2):
    """GCNet's block on one image ``[c][h*w]``: what it adds to each channel."""
    channels, places = len(image), len(image[0])
    scores = [
        sum(where_w[c] * image[c][i] for c in range(channels)) + where_b
        for i in range(places)
    ]
    weights = softmax(scores)
    summary = [sum(w * v for w, v in zip(weights, image[c])) for c in range(channels)]
    hidden = [sum(w * v for w, v in zip(row, summary)) + b for row, b in zip(w1, b1)]
    mean = sum(hidden) / len(hidden)
    variance = sum((h - mean) ** 2 for h in hidden) / len(hidden)
    hidden = [
        max(0, (h - mean) / sqrt(variance + 1e-5) * g + b)
        for h, g, b in zip(hidden, norm_w, norm_b)
    ]
    return [sum(w * v for w, v in zip(row, hidden)) + b for row, b in zip(w2, b2)]


def fgd(student, teacher, boxes, sizes, weights, tau, blocks):
    """FGD on one level, a value for each image."""
    map_size = (len(student[0][0]), len(student[0][0][0]))
    foreground = scale_mask(boxes, sizes, map_size)
    background = background_mask(foreground)
    spatial = [spatial_attention(side, tau) for side in (student, teacher)]
    channel = [channel_attention(side, tau) for side in (student, teacher)]
    result = []
    for n in range(len(student)):
        s, t = ([cells(c) for c in side[n]] for side in (student, teacher))
        attended = cells(spatial[1][n])
        terms = [0.0, 0.0, 0.0, 0.0]
        for c in range(len(s)):
            for i in range(len(s[0])):
                error = attended[i] * channel[1][n][c] * (s[c][i] - t[c][i]) ** 2
                terms[0] += cells(foreground[n])[i] * error
                terms[1] += cells(background[n])[i] * error
        terms[2] = sum(abs(a - b) for a, b in zip(channel[0][n], channel[1][n])) + sum(
            abs(a - b) for a, b in zip(cells(spatial[0][n]), cells(spatial[1][n]))
        )
        added = [context(side, *block) for side, block in zip((s, t), blocks)]
        terms[3] = sum(
            (t[c][i] + added[1][c] - s[c][i] - added[0][c]) ** 2
            for c in range(len(s))
            for i in range(len(s[0]))
        )
        result.append(sum(w * term for w, term in zip(weights, terms)))
    return result


def defeat(student, teacher, mask, weight_fg, weight_bg):
    """DeFeat on one level of a batch: one number."""
    total = 0.0
    for weight, wanted in ((weight_fg, 1.0), (weight_bg, 0.0)):
        errors = [
            (student[n][c][y][x] - teacher[n][c][y][x]) ** 2
            for n in range(len(student))
            for c in range(len(student[0]))
            for y in range(len(mask[0]))
            for x in range(len(mask[0][0]))
            if mask[n][y][x] == wanted
        ]
        total += weight * sum(errors) / max(1, 2 * len(errors))
    return total


def fgfi(levels, masks):
    """FGFI on all levels of a batch: one number."""
    places = sum(v for level in masks for mask in level for row in mask for v in row)
    total = 0.0
    for (student, teacher), level in zip(levels, masks):
        for n, mask in enumerate(level):
            for c in range(len(student[n])):
                for y, row in enumerate(mask):
                    for x, inside in enumerate(row):
                        total += (
                            inside * (student[n][c][y][x] - teacher[n][c][y][x]) ** 2
                        )
    return total / (2 * max(1, places))
