"""A street of the toy world: what stands where, how it moves, where the light is.

Lengths are metres. The street runs along ``z``; ``x`` points right, ``y`` up. Its
centre line swings as ``x = bend(z)``, and ``d`` is the distance right of that line.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from projects.toy_streets import draw
from projects.toy_streets.draw import Brush, Sprite, pick, sprite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.random import Generator

REACH = 170.0
"""How far the street is built ahead of the camera."""
STEP = 1.1
"""How far the camera moves from frame to frame."""


class Panel(NamedTuple):
    """An upright rectangle with a sprite; left and right edge as ``(x, z)``."""

    left: tuple[float, float]
    right: tuple[float, float]
    low: float
    high: float
    sprite: Sprite
    instance: int = 0
    shade: float = 1.0
    see_through: bool = False


class Stand(NamedTuple):
    """A sprite that always faces the camera."""

    x: float
    z: float
    width: float
    low: float
    high: float
    sprite: Sprite
    instance: int = 0
    shade: float = 1.0


class Lamp(NamedTuple):
    """A street lamp, for the night."""

    x: float
    y: float
    z: float


@dataclass
class Light:
    """Sun, sky and lens of a street."""

    sunny: bool
    fall: tuple[float, float]
    """Unit vector along which shadows fall."""
    slope: float
    """Length of a shadow for each metre of height."""
    ambient: float
    direct: float
    tint: tuple[float, float, float]
    gain: float
    zenith: np.ndarray
    haze: np.ndarray
    clouds: float
    blur: float
    grain: float

    def on(self, nx: float, nz: float) -> float:
        """Returns the light on an upright face with an outward normal."""
        facing = max(0.0, -(nx * self.fall[0] + nz * self.fall[1]))
        return self.ambient + self.direct * facing


@dataclass
class Thing:
    """Something that can move: where it is at time 0, its speed, how it looks."""

    label: int
    instance: int
    d: float
    z: float
    along: float
    """Metres a frame along the street."""
    across: float
    """Metres a frame to the right."""
    way: int
    """1 when it looks along the street, -1 when against it."""
    size: tuple[float, float, float]
    """Length, width, height; for the shadow."""
    faces: Callable[[Street, Thing, int, tuple[float, float]], Iterator[Panel | Stand]]
    crowd: bool = False

    def at(self, time: int) -> tuple[float, float]:
        """Returns ``(d, z)`` at frame ``time``."""
        return self.d + self.across * time, self.z + self.along * time


@dataclass
class Street:
    """Everything that does not depend on the frame."""

    rng: Generator
    scale: float
    frames: int
    light: Light
    half: float = 4.0
    bend_size: float = 0.0
    bend_length: float = 200.0
    bend_phase: float = 0.0
    verge: tuple[float, float] = (0.0, 0.0)
    pavement: tuple[float, float] = (2.5, 2.5)
    strip: tuple[float, float] = (0.0, 0.0)
    paved_strip: tuple[bool, bool] = (True, True)
    junctions: list[tuple[float, float]] = field(default_factory=list)
    panels: list[Panel] = field(default_factory=list)
    stands: list[Stand] = field(default_factory=list)
    things: list[Thing] = field(default_factory=list)
    lamps: list[Lamp] = field(default_factory=list)
    blockers: list[tuple[int, float, float, float, float]] = field(default_factory=list)
    """What throws long shadows: side, from, to, height, distance from the centre."""
    shadows: list[tuple[float, float, float, float]] = field(default_factory=list)
    """Round shadows on the ground: x, z, radius, height above."""
    rails: float | None = None
    marks: int = 1
    camera_d: float = 1.8
    camera_height: float = 1.5
    camera_yaw: float = 0.0
    focal: float = 0.9
    horizon: float = 0.45
    bonnet: float = 0.0
    colours: dict[str, np.ndarray] = field(default_factory=dict)
    offsets: np.ndarray = field(default_factory=lambda: np.zeros(8))

    def bend(self, z: np.ndarray | float) -> np.ndarray | float:
        """Returns where the centre line is at ``z``."""
        return self.bend_size * np.sin(z / self.bend_length + self.bend_phase)

    def heading(self, z: float) -> float:
        """Returns the direction of the street at ``z``, 0 along the z axis."""
        turn = z / self.bend_length + self.bend_phase
        return math.atan(self.bend_size / self.bend_length * math.cos(turn))

    def place(self, d: float, z: float) -> tuple[float, float]:
        """Returns ``(x, z)`` of a point at ``d`` right of the centre line."""
        return float(self.bend(z)) + d, z

    def front(self, side: int) -> float:
        """Returns the distance of the house fronts from the centre line."""
        i = int(side > 0)
        return self.half + self.verge[i] + self.pavement[i] + self.strip[i]

    def ppm(self, z: float, d: float = 6.0) -> float:
        """Returns how finely to draw what stands at ``z`` and is seen all along."""
        near = max(z - STEP * self.frames, 0.0)
        near = math.hypot(near, 0.6 * d)
        return float(np.clip(260.0 / max(near, 1.0), 3.5, 24.0)) * self.scale

    def brush(self, z: float, d: float = 6.0) -> Brush:
        """Returns a brush for what stands at ``z``."""
        return Brush(self.rng, self.ppm(z, d))


def build(rng: Generator, *, scale: float, frames: int) -> Street:
    """Returns a random street.

    Args:
        rng: Decides everything.
        scale: Height of the picture over 128, so that sprites are fine enough.
        frames: Frames that a drive through it has.
    """
    street = Street(rng, scale, frames, _light(rng))
    _shape(street)
    _fronts(street)
    _backdrop(street)
    _furniture(street)
    _traffic(street)
    _people(street)
    _settle(street)
    return street


def _shape(street: Street) -> None:
    """Chooses the cross-section, the camera and the colours of the ground."""
    rng = street.rng
    parking = rng.random() < 0.6
    lanes = int(rng.choice([2, 2, 2, 2, 4]))
    street.half = 1.65 * lanes + (2.1 if parking else 0.2) + float(rng.uniform(0, 0.5))
    if rng.random() < 0.4:
        street.rails = float(rng.choice([-1.0, 1.0]) * rng.uniform(1.5, 1.9))
        street.half += 0.8
    street.marks = lanes if rng.random() < 0.85 else 0
    street.bend_size = float(rng.normal(0, 9))
    street.bend_length = float(rng.uniform(45, 120))
    street.bend_phase = float(rng.uniform(0, 6.3))
    verge, pavement, strip, paved = [], [], [], []
    for _ in range(2):
        verge.append(float(rng.uniform(1.0, 2.2)) if rng.random() < 0.2 else 0.0)
        pavement.append(float(rng.uniform(2.2, 6.0)))
        strip.append(float(rng.uniform(1.5, 7.0)) if rng.random() < 0.55 else 0.0)
        paved.append(rng.random() < 0.3)
    street.verge = (verge[0], verge[1])
    street.pavement = (pavement[0], pavement[1])
    street.strip = (strip[0], strip[1])
    street.paved_strip = (paved[0], paved[1])
    z = float(rng.uniform(9, 45))
    while z < REACH + STEP * street.frames:
        if rng.random() < 0.8:
            street.junctions.append((z, z + float(rng.uniform(7, 12))))
        z += float(rng.uniform(32, 80))
    street.camera_d = 1.65 * (lanes - 1) + float(rng.normal(0, 0.3))
    if lanes == 4 and rng.random() < 0.5:
        street.camera_d -= 3.0
    street.camera_height = float(rng.uniform(1.25, 1.85))
    street.camera_yaw = float(rng.normal(0, 0.035))
    street.focal = float(rng.uniform(0.85, 1.2))
    street.horizon = float(rng.uniform(0.40, 0.52))
    street.bonnet = float(rng.uniform(0.03, 0.08)) if rng.random() < 0.3 else 0.0
    grey = float(rng.uniform(66, 124))
    road = np.array((grey, grey, grey)) + rng.normal(0, 5, 3)
    if rng.random() < 0.25:  # pavement of the road's own stuff
        walk = road + rng.normal(0, 9)
    else:
        walk = pick(
            rng, ((166, 158, 146), (150, 132, 116), (178, 176, 172), (168, 130, 112)), 8
        )
    earth = pick(
        rng,
        (
            (86, 104, 54),
            (104, 112, 62),
            (126, 112, 82),
            (112, 106, 96),
            (70, 90, 48),
            (140, 130, 108),
        ),
        8,
    )
    patch = road + rng.normal(0, 22)
    paint = (
        np.array((206, 204, 196)) if rng.random() < 0.8 else np.array((206, 176, 84))
    )
    street.colours = {
        'road': road,
        'sidewalk': walk,
        'terrain': earth,
        'patch': patch,
        'paint': paint * rng.uniform(0.75, 1.05),
        'kerb': np.clip(walk + rng.normal(12, 22), 20, 230),
    }
    street.offsets = rng.uniform(0, 512, 8)


def _light(rng: Generator) -> Light:
    """Chooses sun, sky and lens."""
    sunny = bool(rng.random() < 0.62)
    angle = float(rng.uniform(0, 2 * math.pi))
    slope = 1 / math.tan(math.radians(float(rng.uniform(18, 62))))
    warm = float(rng.normal(0, 0.06)) + (0.04 if slope > 1.6 and sunny else 0.0)
    ambient = float(rng.uniform(0.5, 0.68) if sunny else rng.uniform(0.78, 0.95))
    direct = float(rng.uniform(0.45, 0.65)) if sunny else 0.06
    if sunny:
        zenith = np.array((70, 120, 190)) + rng.uniform(0, (50, 40, 40))
        haze = np.array((180, 204, 236)) + rng.uniform(0, (60, 40, 1))
    else:
        level = rng.uniform(165, 240)
        zenith = level + np.array((-12.0, -6.0, 0.0))
        haze = level + np.array((8.0, 8.0, 10.0))
    return Light(
        sunny,
        (math.cos(angle), math.sin(angle)),
        slope,
        ambient,
        direct,
        (1 + warm, 1.0, 1 - warm),
        float(rng.uniform(0.76, 1.18)),
        zenith,
        haze,
        float(rng.uniform(-0.6, 1.2)),
        float(rng.uniform(0.0, 0.75)),
        float(rng.uniform(1.5, 4.5)),
    )


def _in_junction(street: Street, z: float, margin: float = 0.0) -> float | None:
    """Returns the end of the junction that ``z`` lies in, if it does."""
    for start, end in street.junctions:
        if start - margin <= z < end + margin:
            return end
    return None


def _fronts(street: Street) -> None:
    """Lines both sides with houses, walls, fences, hedges, banks and gaps."""
    rng = street.rng
    kinds = ('house', 'wall', 'fence', 'hedge', 'bank', 'gap')
    styles = (
        (0.76, 0.08, 0.08, 0.03, 0.02, 0.03),
        (0.34, 0.18, 0.22, 0.12, 0.08, 0.06),
        (0.16, 0.28, 0.26, 0.10, 0.12, 0.08),
    )
    style = styles[int(rng.choice([0, 0, 1, 1, 2]))]
    end = REACH + STEP * street.frames
    for side in (-1, 1):
        z = -8.0 + float(rng.uniform(-4, 0))
        family = pick(rng, draw.MASONRY, 8)
        while z < end:
            skip = _in_junction(street, z, 0.5)
            if skip is not None:
                z = skip + 1.0
                continue
            kind = kinds[int(rng.choice(len(kinds), p=style))]
            length = float(rng.uniform(8, 20))
            stop = min([z + length] + [a - 0.5 for a, _ in street.junctions if a > z])
            if stop - z > 1.5:
                colour = (
                    family + rng.normal(0, 9, 3)
                    if rng.random() < 0.35
                    else pick(rng, draw.MASONRY)
                )
                _front(street, side, z, stop, kind, np.clip(colour, 20, 235))
            z = max(stop, z + 1.5)


def _along(
    street: Street,
    side: int,
    d: float,
    z0: float,
    z1: float,
    low: float,
    high: float,
    pixels: np.ndarray,
    *,
    see_through: bool = False,
) -> None:
    """Stands a sprite up along the street."""
    a, b = street.place(side * d, z0), street.place(side * d, z1)
    if side < 0:
        left, right = a, b
    else:
        left, right = b, a
    run, rise = b[1] - a[1], b[0] - a[0]
    size = math.hypot(run, rise)
    shade = street.light.on(-side * run / size, side * rise / size)
    street.panels.append(
        Panel(
            left,
            right,
            low,
            high,
            sprite(pixels, opaque=not see_through and bool((pixels[..., 3] > 0).all())),
            0,
            shade,
            see_through,
        )
    )


def _facing(
    street: Street,
    d0: float,
    d1: float,
    z: float,
    low: float,
    high: float,
    pixels: np.ndarray,
) -> None:
    """Stands a sprite up across the street, towards the camera."""
    a, b = street.place(min(d0, d1), z), street.place(max(d0, d1), z)
    street.panels.append(
        Panel(
            a,
            b,
            low,
            high,
            sprite(pixels, opaque=bool((pixels[..., 3] > 0).all())),
            0,
            street.light.on(0, -1),
        )
    )


def _front(
    street: Street, side: int, z0: float, z1: float, kind: str, colour: np.ndarray
) -> None:
    """Builds one stretch of one side."""
    rng = street.rng
    front, length = street.front(side), z1 - z0
    brush = street.brush(z0, front)
    if kind == 'house':
        height = float(rng.uniform(5.0, 18.0))
        pixels = draw.facade(brush, height, length, colour)
        _along(street, side, front, z0, z1, 0, height, pixels)
        depth = 9.0
        wing = draw.facade(
            Brush(rng, brush.ppm * 0.7),
            height,
            depth,
            colour,
            blind=bool(rng.random() < 0.5),
        )
        _facing(street, side * front, side * (front + depth), z0, 0, height, wing)
        street.blockers.append((side, z0, z1, height, front))
        return
    near = front - (street.strip[int(side > 0)] if rng.random() < 0.5 else 0.0)
    if kind == 'wall':
        height = float(rng.uniform(1.6, 3.6))
        pixels = draw.masonry(brush, height, length, colour, draw.WALL)
        _along(street, side, near, z0, z1, 0, height, pixels)
        wing = draw.masonry(
            Brush(rng, brush.ppm * 0.6), height, 6.0, colour, draw.WALL
        )
        _facing(street, side * near, side * (near + 6.0), z0, 0, height, wing)
        street.blockers.append((side, z0, z1, height, near))
    elif kind == 'fence':
        height = float(rng.uniform(1.2, 2.6))
        pixels = draw.fence(brush, height, length)
        _along(street, side, near, z0, z1, 0, height, pixels, see_through=True)
    elif kind in ('hedge', 'bank'):
        tall = rng.uniform(1.0, 3.0) if kind == 'hedge' else rng.uniform(0.8, 2.4)
        height = float(tall)
        if kind == 'hedge':
            green = pick(rng, draw.GREENS, 10)
            pixels = draw.foliage(brush, height, length, green, shape='hedge')
        else:
            pixels = draw.bank(brush, height, length, street.colours['terrain'] * 0.95)
        _along(street, side, near, z0, z1, 0, height, pixels)
    if rng.random() < 0.75:
        for _ in range(int(rng.integers(1, 4))):
            z = float(rng.uniform(z0, z1))
            _tree(street, side * (near + float(rng.uniform(1.5, 9))), z)


def _tree(street: Street, d: float, z: float, green: np.ndarray | None = None) -> None:
    """Plants a tree."""
    rng = street.rng
    x, z = street.place(d, z)
    height = float(rng.uniform(4.0, 11.0))
    stem = height * float(rng.uniform(0.2, 0.4))
    brush = street.brush(z, abs(d))
    brush = Brush(rng, brush.ppm * 0.7)
    colour = pick(rng, draw.GREENS) if green is None else green + rng.normal(0, 8, 3)
    shape = 'cone' if rng.random() < 0.25 else 'crown'
    wide = (height - stem) * float(rng.uniform(0.6, 1.1) if shape == 'crown' else 0.5)
    crown = draw.foliage(brush, height - stem + 0.4, wide, colour, shape=shape)
    shade = street.light.ambient + 0.5 * street.light.direct
    wood = float(rng.uniform(0.16, 0.4))
    street.stands.append(
        Stand(
            x,
            z,
            wood,
            0,
            stem + 0.8,
            sprite(draw.trunk(brush, stem + 0.8, wood)),
            0,
            shade * 0.9,
        )
    )
    street.stands.append(
        Stand(x, z - 0.1, wide, stem - 0.4, height, sprite(crown), 0, shade)
    )
    street.shadows.append((x, z, wide / 2, (stem + height) / 2))


def _backdrop(street: Street) -> None:
    """Puts a second row behind the first, and closes the far end."""
    rng = street.rng
    end = REACH + STEP * street.frames
    for side in (-1, 1):
        z = 4.0
        while z < end:
            length = float(rng.uniform(14, 34))
            chance = rng.random()
            d = street.front(side) + float(rng.uniform(14, 34))
            height = float(rng.uniform(5, 15))
            if chance < 0.4:
                pixels = draw.foliage(
                    Brush(rng, 4 * street.scale),
                    height,
                    length,
                    pick(rng, draw.GREENS),
                    shape='hedge',
                )
                _along(street, side, d, z, z + length, 0, height, pixels)
            elif chance < 0.75:
                pixels = draw.facade(
                    Brush(rng, 6 * street.scale),
                    height,
                    length,
                    pick(rng, draw.MASONRY),
                )
                _along(street, side, d, z, z + length, 0, height, pixels)
            z += length
    d = -90.0
    while d < 90:
        width = float(rng.uniform(9, 26))
        height = float(rng.uniform(4, 24))
        if rng.random() < 0.45:
            pixels = draw.foliage(
                Brush(rng, 3 * street.scale),
                height * 0.7,
                width,
                pick(rng, draw.GREENS),
                shape='hedge',
            )
            _facing(street, d, d + width, end + 5, 0, height * 0.7, pixels)
        elif rng.random() < 0.8:
            pixels = draw.facade(
                Brush(rng, 3.5 * street.scale), height, width, pick(rng, draw.MASONRY)
            )
            _facing(street, d, d + width, end + 5, 0, height, pixels)
        d += width


def _furniture(street: Street) -> None:
    """Sets lamps, signals, signs, bins and trees along the kerbs."""
    rng = street.rng
    end = min(REACH, 110.0) + STEP * street.frames
    shade = street.light.ambient + 0.5 * street.light.direct
    for side in (-1, 1):
        kerb = street.half + 0.45
        i = int(side > 0)
        z = float(rng.uniform(3, 20))
        gap = float(rng.uniform(17, 30))
        lamps = rng.random() < 0.85
        while z < end and lamps:
            height = float(rng.uniform(4.5, 8.5))
            x, at = street.place(side * kerb, z)
            bare = rng.random() < 0.25
            pixels = draw.post(street.brush(z), height, lamp=not bare)
            width = pixels.shape[1] / street.ppm(z)
            street.stands.append(
                Stand(x, at, width, 0, height, sprite(pixels), 0, shade)
            )
            if not bare:
                street.lamps.append(Lamp(x - side * 1.0, height, at))
            z += gap
        if street.verge[i] or rng.random() < 0.3:
            green = pick(rng, draw.GREENS)
            z = float(rng.uniform(4, 14))
            gap = float(rng.uniform(7, 16))
            place = street.half + (street.verge[i] / 2 if street.verge[i] else 0.8)
            while z < end:
                if _in_junction(street, z, 2) is None and rng.random() < 0.85:
                    _tree(street, side * place, z, green)
                z += gap
        for start, _ in street.junctions:
            if rng.random() < 0.85 and start < end:
                x, at = street.place(side * kerb, start - 0.8)
                height = float(rng.uniform(3.0, 4.4))
                pixels = draw.signal(street.brush(start), height)
                street.stands.append(
                    Stand(x, at, 0.8, 0, height, sprite(pixels), 0, shade)
                )
        for _ in range(int(rng.integers(1, 6))):
            z = float(rng.uniform(6, 70))
            x, at = street.place(side * (kerb + float(rng.uniform(0, 0.6))), z)
            height = float(rng.uniform(2.2, 3.2))
            pixels = draw.road_sign(street.brush(z), height)
            street.stands.append(Stand(x, at, 1.2, 0, height, sprite(pixels), 0, shade))
        if rng.random() < 0.5:
            z = float(rng.uniform(6, 40))
            x, at = street.place(side * (kerb + 0.5), z)
            pixels = draw.bin_or_box(street.brush(z))
            street.stands.append(Stand(x, at, 0.7, 0, 1.1, sprite(pixels), 0, shade))


def _body_faces(body: draw.Body) -> Callable:
    """Returns what draws a vehicle as its upright faces."""
    side = sprite(body.side)
    across = tuple((p, sprite(pixels), pixels.shape[0]) for p, pixels in body.across)
    tall = body.side.shape[0] / body.height

    def faces(
        street: Street, thing: Thing, time: int, _eye: tuple[float, float]
    ) -> Iterator[Panel]:
        d, z = thing.at(time)
        x, z = street.place(d, z)
        turn = street.heading(z)
        ex, ez = math.sin(turn) * thing.way, math.cos(turn) * thing.way
        nx, nz = ez, -ex
        light = street.light
        half, wide = body.length / 2, body.width / 2
        for s in (-1, 1):
            px, pz = x + s * nx * wide, z + s * nz * wide
            yield Panel(
                (px - ex * half, pz - ez * half),
                (px + ex * half, pz + ez * half),
                0,
                body.height,
                side,
                thing.instance,
                light.on(s * nx, s * nz),
            )
        for p, face, rows in across:
            px, pz = x + ex * p, z + ez * p
            sign = 1 if p > 0 else -1
            yield Panel(
                (px - nx * wide, pz - nz * wide),
                (px + nx * wide, pz + nz * wide),
                0,
                rows / tall,
                face,
                thing.instance,
                light.on(sign * ex, sign * ez),
            )

    return faces


def _wheel_faces(brush: Brush, *, motor: bool, ridden: bool) -> Callable:
    """Returns what draws a two-wheeler from the side or along its way."""
    seed = int(brush.rng.integers(2**31))
    views = {}
    for side in (False, True):
        rng = np.random.Generator(np.random.PCG64(seed))
        views[side] = sprite(
            draw.two_wheeler(
                Brush(rng, brush.ppm), side=side, motor=motor, ridden=ridden
            )
        )

    def faces(
        street: Street, thing: Thing, time: int, eye: tuple[float, float]
    ) -> Iterator[Panel | Stand]:
        d, z = thing.at(time)
        x, z = street.place(d, z)
        turn = street.heading(z) + (math.pi / 2 if thing.across else 0.0)
        ex, ez = math.sin(turn) * thing.way, math.cos(turn) * thing.way
        vx, vz = x - eye[0], z - eye[1]
        along = abs(vx * ex + vz * ez) / (math.hypot(vx, vz) + 1e-6)
        shade = street.light.ambient + 0.6 * street.light.direct
        if along > 0.86:
            yield Stand(x, z, 0.9, 0, 1.85, views[False], thing.instance, shade)
        else:
            half = 1.05
            yield Panel(
                (x - ex * half, z - ez * half),
                (x + ex * half, z + ez * half),
                0,
                1.85,
                views[True],
                thing.instance,
                shade,
            )

    return faces


def _walker_faces(street: Street, z: float, looks: list[int], size: float) -> Callable:
    """Returns what draws one person, or a crowd of them."""
    ppm = street.ppm(z, 4.0)
    moves = [
        [sprite(draw.pedestrian(look, ppm, step=s)) for s in range(4)]
        for look in looks
    ]

    def faces(
        street: Street, thing: Thing, time: int, _eye: tuple[float, float]
    ) -> Iterator[Stand]:
        d, z = thing.at(time)
        shade = street.light.ambient + 0.6 * street.light.direct
        for number, steps in enumerate(moves):
            x, at = street.place(d + 0.55 * number, z + 0.3 * (number % 3))
            step = (time + looks[number]) % 4 if thing.along or thing.across else 0
            yield Stand(
                x, at, 0.9 * size, 0, 1.8 * size, steps[step], thing.instance, shade
            )

    return faces


def _add(
    street: Street,
    label: int,
    d: float,
    z: float,
    along: float,
    way: int,
    size: tuple[float, float, float],
    faces: Callable,
    *,
    across: float = 0.0,
    crowd: bool = False,
) -> None:
    """Adds a thing to the street."""
    street.things.append(
        Thing(
            label, len(street.things) + 1, d, z, along, across, way, size, faces, crowd
        )
    )


def _vehicle(
    street: Street, d: float, z: float, along: float, way: int, kind: str
) -> float:
    """Adds a vehicle with its rear at ``z``; returns its length."""
    brush = street.brush(z, abs(d - street.camera_d))
    if kind == 'motorcycle':
        faces = _wheel_faces(brush, motor=True, ridden=along != 0)
        _add(street, draw.MOTORCYCLE, d, z + 1.0, along, way, (2.0, 0.6, 1.3), faces)
        return 2.1
    paint = {'car': draw.car, 'truck': draw.lorry}.get(kind)
    body = paint(brush) if paint else draw.coach(brush, rails=kind == 'train')
    label = {
        'car': draw.CAR,
        'truck': draw.TRUCK,
        'bus': draw.BUS,
        'train': draw.TRAIN,
    }[kind]
    _add(
        street,
        label,
        d,
        z + body.length / 2,
        along,
        way,
        (body.length, body.width, body.height),
        _body_faces(body),
    )
    return body.length


def _traffic(street: Street) -> None:
    """Parks and drives vehicles."""
    rng = street.rng
    lane = abs(street.camera_d)
    if street.half > 1.65 * 2 + 1.5:
        for side in (-1, 1):
            if rng.random() < 0.8:
                dense = float(rng.uniform(0.3, 0.9))
                z = float(rng.uniform(2.5, 9))
                while z < 85:
                    length = 5.2
                    if (
                        rng.random() < dense
                        and _in_junction(street, z + 2.5, 4) is None
                    ):
                        kind = str(
                            rng.choice(
                                ['car', 'truck', 'motorcycle'], p=[0.78, 0.07, 0.15]
                            )
                        )
                        length = _vehicle(
                            street, side * (street.half - 1.05), z, 0.0, side, kind
                        )
                    z += length + float(rng.uniform(0.8, 2.4))
    for side, speed in ((1, 1.0), (-1, -1.0)):
        z = float(rng.uniform(9, 34)) if side > 0 else float(rng.uniform(6, 26))
        for _ in range(int(rng.integers(1, 4))):
            kind = str(
                rng.choice(
                    ['car', 'truck', 'bus', 'motorcycle'], p=[0.46, 0.2, 0.2, 0.14]
                )
            )
            along = speed * STEP * float(rng.uniform(0.8, 1.3))
            z += _vehicle(street, side * lane, z, along, side, kind)
            z += float(rng.uniform(6, 30))
    if street.rails is not None and rng.random() < 0.8:
        way = 1 if street.rails > 0 else -1
        z = float(rng.uniform(12, 60))
        _vehicle(
            street,
            street.rails,
            z,
            way * STEP * float(rng.uniform(0.6, 1.2)),
            way,
            'train',
        )
    for side in (-1, 1):
        for _ in range(int(rng.choice([0, 1, 1, 2]))):
            z = float(rng.uniform(6, 34))
            d = side * (street.half - float(rng.uniform(0.4, 2.4)))
            motor = rng.random() < 0.35
            label = draw.MOTORCYCLE if motor else draw.BICYCLE
            _add(
                street,
                label,
                d,
                z,
                side * 0.45,
                side,
                (1.8, 0.5, 1.7),
                _wheel_faces(street.brush(z), motor=motor, ridden=True),
            )
        i = int(side > 0)
        if rng.random() < 0.75:
            z = float(rng.uniform(5, 20))
            d = side * (
                street.half
                + street.verge[i]
                + float(rng.uniform(0.4, max(0.5, street.pavement[i] - 0.3)))
            )
            for _ in range(int(rng.integers(2, 6))):
                motor = rng.random() < 0.3
                label = draw.MOTORCYCLE if motor else draw.BICYCLE
                _add(
                    street,
                    label,
                    d,
                    z,
                    0.0,
                    side,
                    (1.8, 0.5, 1.0),
                    _wheel_faces(street.brush(z), motor=motor, ridden=False),
                )
                z += float(rng.uniform(0.7, 2.2))


def _settle(street: Street) -> None:
    """Takes away what would stand in something else, or in the camera's way."""
    kept: list[Thing] = []
    for thing in sorted(street.things, key=lambda t: -t.size[0]):  # large ones stay
        if not (
            _meets_camera(street, thing)
            or any(_meet(thing, other, street.frames) for other in kept)
        ):
            kept.append(thing)
    kept.sort(key=lambda thing: thing.instance)
    for number, thing in enumerate(kept, 1):
        thing.instance = number
    street.things = kept


def _reach(thing: Thing) -> tuple[float, float]:
    """Returns how far a thing reaches to each side and along the street."""
    half = (thing.size[1] / 2, thing.size[0] / 2)
    return half[::-1] if thing.across and thing.size[0] > 1 else half


def _meet(one: Thing, other: Thing, frames: int) -> bool:
    """Returns whether two things overlap in the first or the last frame."""
    wide, deep = (a + b for a, b in zip(_reach(one), _reach(other)))
    for time in {0, frames - 1}:
        (d, z), (e, y) = one.at(time), other.at(time)
        if abs(d - e) < wide + 0.1 and abs(z - y) < deep + 0.3:
            return True
    return False


def _meets_camera(street: Street, thing: Thing) -> bool:
    """Returns whether the camera runs into a thing."""
    wide, deep = _reach(thing)
    for time in range(street.frames):
        d, z = thing.at(time)
        if (
            abs(d - street.camera_d) < wide + 1.0
            and -deep - 1.0 < z - STEP * time < deep + 3.5
        ):
            return True
    return False


def _people(street: Street) -> None:
    """Lets people walk on the pavements and cross at junctions."""
    rng = street.rng
    for side in (-1, 1):
        i = int(side > 0)
        low = street.half + street.verge[i] + 0.35
        high = max(low + 0.2, low + street.pavement[i] - 0.5)
        for _ in range(int(rng.integers(1, 8))):
            z = float(rng.uniform(4, 60))
            _walker(street, float(side * rng.uniform(low, high)), z)
        if rng.random() < 0.25:
            z = float(rng.uniform(25, 60))
            looks = [int(v) for v in rng.integers(0, 2**31, int(rng.integers(5, 9)))]
            _add(
                street,
                draw.PERSON,
                side * (low + high) / 2 - 1.2,
                z,
                0.0,
                1,
                (1.0, 3.0, 1.7),
                _walker_faces(street, z, looks, 1.0),
                crowd=True,
            )
    for start, _ in street.junctions[:2]:
        for _ in range(int(rng.choice([0, 1, 2, 3]))):
            way = float(rng.choice([-1, 1]))
            _walker(
                street,
                float(rng.uniform(-street.half, street.half)),
                start - float(rng.uniform(1.2, 3.4)),
                across=way * 0.22,
            )
    if rng.random() < 0.2:
        _walker(
            street,
            float(rng.uniform(-street.half, street.half)),
            float(rng.uniform(14, 50)),
            across=0.2,
        )
    if street.junctions and rng.random() < 0.5:
        way = int(rng.choice([-1, 1]))
        z = street.junctions[0][0] + float(rng.uniform(0.5, 4.0))
        motor = rng.random() < 0.4
        label = draw.MOTORCYCLE if motor else draw.BICYCLE
        _add(
            street,
            label,
            float(rng.uniform(-street.half, street.half)),
            z,
            0.0,
            way,
            (1.8, 0.5, 1.7),
            _wheel_faces(street.brush(z), motor=motor, ridden=True),
            across=0.4 * way,
        )


def _walker(street: Street, d: float, z: float, across: float = 0.0) -> None:
    """Adds one person."""
    rng = street.rng
    size = float(rng.uniform(0.92, 1.08)) if rng.random() < 0.85 else 0.68
    along = 0.0
    if not across and rng.random() < 0.8:
        along = float(rng.choice([-0.16, 0.16]))
    faces = _walker_faces(street, z, [int(rng.integers(2**31))], size)
    _add(
        street,
        draw.PERSON,
        d,
        z,
        along,
        1,
        (0.4, 0.5, 1.75 * size),
        faces,
        across=across,
    )
