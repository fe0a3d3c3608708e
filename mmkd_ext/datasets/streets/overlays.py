"""What weather lays between a scene and the picture: haze, rain, flakes, the sensor.

Shared by the renderer of the toy streets, which knows each pixel's distance, and by
`mmkd_ext.datasets.corrupt`, which has nothing but the picture. Pictures are ``float32``
``(h w 3)`` in red, green, blue, 0 to 255.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator

    Array = np.ndarray


def camera(
    image: Array, rng: Generator, *, gain: float, grain: float, blur: float
) -> Array:
    """Returns the picture ``uint8`` as a camera records it.

    Args:
        image: Light that arrives.
        rng: Chance of this frame.
        gain: Factor on all light; corners get less.
        grain: Noise that does not depend on the light, in levels.
        blur: Width of the lens' blur in pixels.
    """
    h, w = image.shape[:2]
    across = np.linspace(-1, 1, w, dtype=np.float32)[None, :]
    down = np.linspace(-1, 1, h, dtype=np.float32)[:, None]
    image = image * (gain * (1 - 0.10 * (across**2 + down**2)))[..., None]
    if blur > 0.2:
        image = cv2.GaussianBlur(image, (0, 0), blur)
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    image = image + noise * (grain + 0.022 * np.sqrt(np.clip(image, 0, 255) * 16))
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def veil(image: Array, depth: Array, air: Array, beta: float) -> Array:
    """Returns the picture behind air that scatters ``beta`` of the light a metre."""
    seen = np.exp(-beta * np.minimum(depth, 400.0))[..., None]
    seen = cv2.blur(seen, (3, 3))[..., None]
    return image * seen + air * (1 - seen)


def streaks(image: Array, rng: Generator, count: float, thick: int = 1) -> Array:
    """Returns the picture with drops drawn long by their fall.

    Args:
        image: The picture.
        rng: Chance of this frame.
        count: Drops a pixel.
        thick: Width of a drop in pixels.
    """
    h, w = image.shape[:2]
    layer = np.zeros((h, w), np.uint8)
    number = int(count * h * w)
    x, y = rng.integers(0, w * 8, number), rng.integers(-h, h * 8, number)
    size = rng.uniform(0.025, 0.11, number) * h * 8
    slant = rng.normal(0.08, 0.03)
    shine = rng.integers(50, 170, number)
    for x0, y0, length, value in zip(x.tolist(), y.tolist(), size, shine.tolist()):
        end = (int(x0 - slant * length), int(y0 + length))
        cv2.line(layer, (x0, y0), end, value, thick, cv2.LINE_AA, 3)
    share = layer[..., None].astype(np.float32) / 255 * 0.55
    return image * (1 - share) + 205.0 * share


def drops(image: Array, rng: Generator, count: int) -> Array:
    """Returns the picture through drops on the lens, which turn it upside down."""
    h, w = image.shape[:2]
    image = image.copy()
    blurred = cv2.GaussianBlur(image, (0, 0), h / 40)[::-1]
    for _ in range(count):
        radius = float(rng.uniform(0.012, 0.05)) * h
        cx, cy = rng.uniform(0, w), rng.uniform(0, h)
        x0, x1 = max(0, int(cx - radius)), min(w, int(cx + radius) + 2)
        y0, y1 = max(0, int(cy - radius)), min(h, int(cy + radius) + 2)
        gap = np.hypot(
            np.arange(x0, x1)[None, :] - cx, (np.arange(y0, y1)[:, None] - cy) / 1.15
        )
        share = np.clip((radius - gap) / (0.35 * radius), 0, 1)[..., None] * 0.8
        area = image[y0:y1, x0:x1]
        image[y0:y1, x0:x1] = area * (1 - share) + blurred[y0:y1, x0:x1] * share
    return image


def flakes(image: Array, rng: Generator, count: float, scale: float = 1.0) -> Array:
    """Returns the picture with flakes of all sizes.

    Args:
        image: The picture.
        rng: Chance of this frame.
        count: Flakes a pixel.
        scale: Factor on their sizes.
    """
    h, w = image.shape[:2]
    layer = np.zeros((h, w), np.uint8)
    number = int(count * h * w)
    x, y = rng.integers(0, w * 8, number), rng.integers(0, h * 8, number)
    size = np.minimum(0.9 / rng.uniform(0.12, 1.6, number), 5.0) * h / 128 * 8 * 0.5
    for x0, y0, radius in zip(x.tolist(), y.tolist(), size):
        cv2.circle(
            layer, (x0, y0), max(2, int(scale * radius)), 230, -1, cv2.LINE_AA, 3
        )
    layer = cv2.GaussianBlur(layer, (0, 0), 0.6)
    share = layer[..., None].astype(np.float32) / 255 * 0.9
    return image * (1 - share) + 240.0 * share
