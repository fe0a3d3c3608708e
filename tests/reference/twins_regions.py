"""Slow twins of the regions: plain loops over nested lists, from the equations.

Written from the papers, without looking at the fast ones; no tensors, no numpy. A box
is ``[x0, y0, x1, y1]``.
"""

from __future__ import annotations

from math import exp, log


def area(box):
    return max(box[2] - box[0], 0) * max(box[3] - box[1], 0)


def iou(a, b):
    shared = area([max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])])
    union = area(a) + area(b) - shared
    return shared / union if union > 0 else 0.0


def center(box):
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def squared_distance(a, b):
    (ax, ay), (bx, by) = center(a), center(b)
    return (ax - bx) ** 2 + (ay - by) ** 2


def diou(a, b):
    """Overlap less the squared distance of the centres by the squared diagonal."""
    width = max(a[2], b[2]) - min(a[0], b[0])
    height = max(a[3], b[3]) - min(a[1], b[1])
    diagonal = width**2 + height**2
    return iou(a, b) - (squared_distance(a, b) / diagonal if diagonal > 0 else 0.0)


def published_diou(a, b):
    """The same with the first box's area in place of the union."""
    shared = area([max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])])
    covered = shared / area(a) if area(a) > 0 else 0.0
    return covered + diou(a, b) - iou(a, b)


def box_diou(boxes_a, boxes_b):
    return [[diou(a, b) for b in boxes_b] for a in boxes_a]


def threshold(anchors, box, nearest):
    """Mean plus unbiased deviation of the IoU of the nearest anchors of each level."""
    values = []
    for level in anchors:
        order = sorted(level, key=lambda anchor: squared_distance(anchor, box))
        values += [iou(anchor, box) for anchor in order[:nearest]]
    mean = sum(values) / len(values)
    if len(values) == 1:
        return mean
    return mean + (sum((v - mean) ** 2 for v in values) / (len(values) - 1)) ** 0.5


def adaptive_thresholds(anchors, boxes, nearest):
    return [threshold(anchors, box, nearest) for box in boxes]


def valuable_region(anchors, boxes, nearest, low, measure=diou):
    """The highest IoU of the boxes for which an anchor is near, but not on it."""
    limits = adaptive_thresholds(anchors, boxes, nearest)
    region = []
    for level in anchors:
        for anchor in level:
            value = 0.0
            for box, limit in zip(boxes, limits):
                if low * limit <= measure(anchor, box) < limit:
                    value = max(value, iou(anchor, box))
            region.append(value)
    return region


def fine_grained_region(anchors, boxes, share):
    region = [False] * len(anchors)
    for box in boxes:
        best = max(iou(anchor, box) for anchor in anchors)
        for i, anchor in enumerate(anchors):
            if iou(anchor, box) > share * best:
                region[i] = True
    return region


def inside_region(anchors, boxes):
    region = []
    for anchor in anchors:
        x, y = center(anchor)
        region.append(any(b[0] < x < b[2] and b[1] < y < b[3] for b in boxes))
    return region


def softened(values, tau=1.0):
    powers = [exp(value / tau) for value in values]
    return [power / sum(powers) for power in powers]


def distribution_boxes(logits, centers, stride):
    """Centre less and plus the mean of each side's distribution: ``[n][a][4]``."""
    images = []
    for image in logits:
        bins = len(image) // 4
        width = len(image[0][0])
        boxes = []
        for a, (x, y) in enumerate(centers):
            sides = []
            for side in range(4):
                values = [
                    image[side * bins + i][a // width][a % width] for i in range(bins)
                ]
                mean = sum(i * p for i, p in enumerate(softened(values)))
                sides.append(stride * mean)
            boxes.append([x - sides[0], y - sides[1], x + sides[2], y + sides[3]])
        images.append(boxes)
    return images


def first_kept(boxes, scores, overlap, count):
    """Suppression as it is usually written: sorted, each against all kept ones."""
    kept = []
    for some, values in zip(boxes, scores):
        order = sorted(range(len(some)), key=lambda a: -values[a])
        chosen = []
        for a in order:
            if all(iou(some[a], some[other]) <= overlap for other in chosen):
                chosen.append(a)
        kept.append([a in chosen[:count] for a in range(len(some))])
    return kept


def sigmoid(x):
    return 1 / (1 + exp(-x))


def general_instances(student, teacher, overlap, count):
    """Logits are ``[n][k][a]``, boxes ``[n][a][4]``."""
    scores, boxes = [], []
    for logits_s, boxes_s, logits_t, boxes_t in zip(*student, *teacher):
        scores.append([])
        boxes.append([])
        for a in range(len(boxes_s)):
            leads = [sigmoid(t[a]) - sigmoid(s[a]) for s, t in zip(logits_s, logits_t)]
            lead = max(leads, key=abs)
            scores[-1].append(abs(lead))
            boxes[-1].append(boxes_t[a] if lead >= 0 else boxes_s[a])
    return first_kept(boxes, scores, overlap, count)


def kl(teacher, student, tau):
    return sum(
        p * log(p / q) for p, q in zip(softened(teacher, tau), softened(student, tau))
    )


def positions(region):
    """Yields image, row, column and weight inside a region."""
    for n, rows in enumerate(region):
        for y, row in enumerate(rows):
            for x, weight in enumerate(row):
                if weight > 0:
                    yield n, y, x, weight


def localization_loss(student, teacher, region, tau, avg_factor):
    """Main and VLR term of LD: maps ``[n][4 b][h][w]``, region ``[n][h][w]``."""
    total = 0.0
    for n, y, x, weight in positions(region):
        bins = len(student[n]) // 4
        for side in range(4):
            s, t = (
                [maps[n][side * bins + i][y][x] for i in range(bins)]
                for maps in (student, teacher)
            )
            total += weight * tau**2 / bins * kl(t, s, tau)
    return total / avg_factor


def class_loss(student, teacher, region, tau):
    values = []
    for n, y, x, _ in positions(region):
        s, t = (
            [maps[n][k][y][x] for k in range(len(student[n]))]
            for maps in (student, teacher)
        )
        values.append(tau**2 / len(s) * kl(t, s, tau))
    return sum(values) / len(values) if values else 0.0


def imitation_loss(student, teacher, region):
    values = [
        (student[n][c][y][x] - teacher[n][c][y][x]) ** 2
        for n, y, x, _ in positions(region)
        for c in range(len(student[n]))
    ]
    return sum(values) / len(values) if values else 0.0
