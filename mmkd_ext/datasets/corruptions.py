"""Corruptions of images: fog, rain, snow, night, noise and blur.

Each corruption is one function of a picture, a strength and two sources of chance: what
stays for the whole stream (the colour of the fog) and what is new in every frame (where
the drops are). A weather needs distances; a picture has none, so it takes those of a
street between two rows of houses, as a camera on a car sees it. On other pictures that
is a soft gradient toward the middle.

Why not a library, looked at in 2026 with numpy 2.4 and opencv-python-headless:

- imagecorruptions 1.1.2 (Apache-2.0): its fog stops at ``np.float_``, gone from numpy
  2, two of its blurs at an argument gone from scikit-image; it requires
  ``opencv-python``, which must not lie beside the headless one; it knows five steps, no
  rain and no night, and draws from numpy's global generator.
- albumentations 2.0.8 (MIT): installs and runs, but asks the package index for updates
  whenever it is imported; its fog is discs on a blurred picture, it has no night, and a
  strength means something else in each transform. Any of its transforms can still stand
  in a pipeline, through ``mmseg.Albu``, but without a seed for each picture.

The layers themselves are those of the toy streets: see ``projects/toy_streets``.
"""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mmkd_ext.datasets import overlays

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.random import Generator

    Array = np.ndarray

__all__ = ['CORRUPTIONS', 'STRONGEST', 'chance']

STRONGEST = 5.0
"""The highest severity; steps are 1 to 5, as in ImageNet-C."""
HORIZON = 0.45
"""Where the horizon lies, as a share of the height from above."""


def chance(seed: int, *key: str) -> Generator:
    """Returns a generator that depends on the arguments alone, in any process."""
    text = '\n'.join((str(seed), *key)).encode()
    digest = hashlib.blake2b(text, digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, 'big')))


@functools.lru_cache(maxsize=8)
def street_depth(h: int, w: int) -> Array:
    """Returns metres ahead ``(h w)`` in a street between two rows of houses."""
    focal = 0.9 * w
    down = (np.arange(h, dtype=np.float32)[:, None] + 0.5 - HORIZON * h) / focal
    aside = np.abs(np.arange(w, dtype=np.float32)[None, :] + 0.5 - w / 2) / focal
    ground = 1.4 / np.maximum(down, 1e-3)
    houses = 10.0 / np.maximum(aside, 1e-3)
    houses = np.where(-down * houses > 12.0, 400.0, houses)  # above their roofs
    depth = np.clip(np.minimum(ground, houses), 1.0, 400.0)
    depth = np.exp(cv2.GaussianBlur(np.log(depth), (0, 0), h / 24))
    depth.setflags(write=False)
    return depth


def clouds(h: int, w: int, rng: Generator, cells: float = 3.0) -> Array:
    """Returns soft noise ``(h w)`` around 0, spread about 1, ``cells`` clouds high."""
    tile = overlays.patch(rng, 512, 512)
    size = max(1, min(512, round(128 * cells)))
    part = np.ascontiguousarray(tile[:size, : min(512, max(1, size * w // h))])
    return cv2.resize(part, (w, h), interpolation=cv2.INTER_LINEAR)


def overcast(image: Array, share: float, dim: float = 0.0) -> Array:
    """Returns the picture in flat grey light: less colour, contrast and sun."""
    grey = image @ np.array((0.299, 0.587, 0.114), np.float32)
    image = image + (grey[..., None] - image) * (0.7 * share)
    middle = float(grey.mean())
    return (image + (middle - image) * (0.25 * share)) * (1 - dim)


def air_of(image: Array, world: Generator) -> Array:
    """Returns the colour of the air: the bright part of the picture, made grey."""
    bright = float(np.percentile(image[::4, ::4], 92))
    level = np.clip(bright, 60, 215) * world.uniform(0.86, 0.98)
    return level * np.array((0.98, 1.0, 1.01), np.float32)


def fog(image: Array, s: float, world: Generator, frame: Generator) -> Array:
    """Returns the picture in fog; contrast falls to a third at 150 to 17 m."""
    h, w = image.shape[:2]
    air = air_of(image, world)
    uneven = np.exp(0.22 * clouds(h, w, frame))
    depth = street_depth(h, w) * uneven
    image = overlays.veil(overcast(image, s), depth, air, 0.06 * s**1.3)
    return image + (air - image) * (0.12 * s)


def rain(image: Array, s: float, world: Generator, frame: Generator) -> Array:
    """Returns the picture in rain: grey light, mist, a wet road, streaks, drops."""
    h, w = image.shape[:2]
    air = 0.8 * air_of(image, world)
    image = mirror(overcast(image, s, dim=0.3 * s), 0.55 * s, frame)
    image = overlays.veil(image, street_depth(h, w), air, 0.02 * s)
    count, thick = 2.4 * s / max(h, 128), max(1, round(h / 400))
    image = overlays.streaks(image, frame, count / thick, thick)
    return overlays.drops(image, frame, round(10 * s))


def mirror(image: Array, share: float, rng: Generator) -> Array:
    """Returns the picture with what stands above the road shown in it, in puddles."""
    h, w = image.shape[:2]
    first = round(HORIZON * h)
    rows = np.clip(2 * first - np.arange(first, h), 0, h - 1)
    above = cv2.blur(image, (3, 2 * (h // 28) + 1))[rows]
    puddle = np.clip(0.5 + 0.35 * clouds(h, w, rng, 4.0)[first:], 0.1, 1.0)
    fade = np.linspace(0, 1, h - first, dtype=np.float32)[:, None] ** 0.3
    part = (share * puddle * fade)[..., None]
    image = image.copy()
    image[first:] = image[first:] * (1 - part) * (1 - 0.3 * share) + above * part
    return image


def snow(image: Array, s: float, world: Generator, frame: Generator) -> Array:
    """Returns the picture in snow: white on the ground and on ledges, mist, flakes."""
    h, w = image.shape[:2]
    air = np.minimum(1.06 * air_of(image, world), 235.0)
    image = overcast(image, s)
    part = cover(image, s, frame)[..., None]
    image = image * (1 - part) + 1.04 * air * part
    image = overlays.veil(image, street_depth(h, w), air, 0.02 * s**1.3)
    return overlays.flakes(
        image, frame, 0.024 * s * min(1.0, 128 / h) ** 1.5, scale=0.5
    )


def cover(image: Array, s: float, rng: Generator) -> Array:
    """Returns how much snow lies on each pixel ``(h w)``, 0 to 1."""
    h, w = image.shape[:2]
    down = np.arange(h, dtype=np.float32)[:, None] / h - HORIZON
    ground = np.clip(down / 0.12, 0, 1) * np.clip(
        0.55 + 0.3 * clouds(h, w, rng, 12.0), 0, 1
    )
    grey = cv2.GaussianBlur(image.mean(2), (0, 0), max(0.6, h / 300))
    ledge = np.maximum(cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=-1 / 8), 0) / 12
    return np.clip(s * (ground + np.minimum(ledge, 0.8)), 0, 0.95)


def night(image: Array, s: float, world: Generator, frame: Generator) -> Array:
    """Returns the picture by night: dark and blue, headlights, a noisy sensor."""
    h, w = image.shape[:2]
    linear = (np.clip(image, 0, 255) / 255) ** 2.2
    depth = street_depth(h, w)
    grey = linear.mean(2)
    high = np.clip((HORIZON - np.arange(h, dtype=np.float32)[:, None] / h) / 0.2, 0, 1)
    sky = cv2.GaussianBlur(
        high * np.clip(4 * grey - 1, 0, 1), (0, 0), max(0.6, h / 200)
    )
    dim = 10 ** (-1.4 * s) * (1 - 0.9 * s * sky)
    blue = np.array((1 - 0.25 * s, 1 - 0.12 * s, 1 + 0.15 * s), np.float32)
    u = (np.arange(w, dtype=np.float32)[None, :] / w - 0.5) / 0.35
    v = (np.arange(h, dtype=np.float32)[:, None] / h - 0.8) / 0.28
    cone = np.exp(-(u**2) - v**2) / (1 + (depth / 22) ** 2) * (2 * s)
    warm = np.array((1.0, 0.93, 0.78), np.float32) * world.uniform(0.9, 1.1)
    linear = linear * (dim[..., None] * blue + cone[..., None] * warm)
    seen = 255 * linear ** (1 / 2.2)
    grain = frame.standard_normal(image.shape, dtype=np.float32)
    return seen + s * grain * (4 + 0.6 * np.sqrt(np.maximum(seen, 0)))


def noise(image: Array, s: float, world: Generator, frame: Generator) -> Array:
    """Returns the picture with Gaussian noise, as strong as ImageNet-C's at 1 to 5."""
    steps = (0.0, 0.08, 0.12, 0.18, 0.26, 0.38)
    spread = 255 * float(np.interp(STRONGEST * s, range(6), steps))
    return image + spread * frame.standard_normal(image.shape, dtype=np.float32)


def blur(image: Array, s: float, world: Generator, frame: Generator) -> Array:
    """Returns the picture out of focus, by up to a fiftieth of its height."""
    return cv2.GaussianBlur(image, (0, 0), 0.02 * s * max(image.shape[0], 128))


CORRUPTIONS: dict[str, Callable[[Array, float, Generator, Generator], Array]] = {
    'fog': fog,
    'rain': rain,
    'snow': snow,
    'night': night,
    'noise': noise,
    'blur': blur,
}
"""Name, and function of a ``float32`` picture ``(h w 3)`` (red, green, blue, 0 to 255),
a strength from 0 to 1, the chance of the stream and the chance of the frame."""
