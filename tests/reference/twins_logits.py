"""Slow twins of what compares class scores: plain loops, straight from the equations.

Written from the papers, without looking at the fast ones; no tensors, no numpy. Rows
are indexed ``[n][c]``.
"""

from __future__ import annotations

from math import exp, log, sqrt


def softened(values, tau):
    """Returns ``softmax(values / tau)`` of a flat list."""
    powers = [exp(value / tau) for value in values]
    return [power / sum(powers) for power in powers]


def kl(p, q):
    """Returns ``KL(p || q)`` of two flat lists."""
    return sum(pi * log(pi / qi) for pi, qi in zip(p, q))


def decoupled_divergence(student, teacher, labels, tau):
    """DKD, Eq. (5) to (7): TCKD and NCKD of each row, times ``tau**2``."""
    targets, others = [], []
    for s, t, label in zip(student, teacher, labels):
        q, p = softened(s, tau), softened(t, tau)
        targets.append(tau**2 * kl([p[label], 1 - p[label]], [q[label], 1 - q[label]]))
        rest_q = [q[c] / (1 - q[label]) for c in range(len(q)) if c != label]
        rest_p = [p[c] / (1 - p[label]) for c in range(len(p)) if c != label]
        others.append(tau**2 * kl(rest_p, rest_q))
    return targets, others


def correlation(a, b):
    """Returns Pearson's correlation of two flat lists, damped as by DIST's authors."""
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    together = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b))
    spread_a = sqrt(sum((x - mean_a) ** 2 for x in a))
    spread_b = sqrt(sum((y - mean_b) ** 2 for y in b))
    return together / (spread_a * spread_b + 1e-8)


def pearson(student, teacher, dim):
    """Correlation within each row (``dim=1``) or each column (``dim=0``)."""
    if dim == 0:
        student, teacher = (list(zip(*side)) for side in (student, teacher))
    return [correlation(s, t) for s, t in zip(student, teacher)]


def dist(student, teacher, beta, gamma, tau, activation):
    """DIST, Eq. (8) to (10), of rows."""
    def activated(row):
        if activation == 'softmax':
            return softened(row, tau)
        return [1 / (1 + exp(-value / tau)) for value in row]

    s, t = ([activated(row) for row in side] for side in (student, teacher))
    rows, columns = pearson(s, t, 1), pearson(s, t, 0)
    inter = sum(1 - r for r in rows) / len(rows)
    intra = sum(1 - r for r in columns) / len(columns)
    return tau**2 * (beta * inter + gamma * intra)
