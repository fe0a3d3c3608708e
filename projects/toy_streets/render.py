"""Draws a street from a camera: colours, labels, instances and depth at once.

Everything is drawn twice as fine as the picture with a depth buffer, so occlusion is
exact; colours are then averaged and labels sampled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mmkd_ext.datasets import overlays
from projects.toy_streets import draw
from projects.toy_streets.world import STEP, Panel, Stand

if TYPE_CHECKING:
    from projects.toy_streets.world import Street, Thing

    Array = np.ndarray

FINE = 2
"""Rows drawn for each row of the picture."""
NEAR = 0.35
FAR = 1e6


@dataclass
class View:
    """What the camera sees, at the size of the picture.

    Attributes:
        colour: Light that arrives in clear weather, ``(h w 3)``, 0 to 255.
        albedo: Colour of the surfaces themselves, ``(h w 3)``.
        label: Cityscapes label ids ``(h w)``.
        instance: Number of the thing, or 0, ``(h w)``.
        depth: Metres ahead ``(h w)``; the sky is at 1e6.
        emission: Own light at night, 0 to 1, ``(h w)``.
        x: Metres right of the centre line, ``(h w)``.
        y: Metres above the ground, ``(h w)``.
        z: Metres along the street, ``(h w)``.
        horizon: Row of the horizon.
        focal: Focal length in pixels.
        lamps: Street lamps as ``(x, y, z)`` in the camera's frame.
        camera: Rows of ``(x, y, z)`` in the camera's frame, ``(h w 3)``.
    """

    colour: Array
    albedo: Array
    label: Array
    instance: Array
    depth: Array
    emission: Array
    x: Array
    y: Array
    z: Array
    horizon: float
    focal: float
    lamps: Array
    camera: Array


class Camera:
    """A pinhole camera that stands in a street."""

    def __init__(self, street: Street, time: int, height: int) -> None:
        self.h, self.w = height * FINE, 2 * height * FINE
        self.focal = street.focal * self.w
        self.u0 = self.w / 2
        self.v0 = street.horizon * self.h
        z = STEP * time
        self.x, self.z = street.place(street.camera_d, z)
        self.y = street.camera_height
        yaw = street.heading(z) + street.camera_yaw
        self.cos, self.sin = math.cos(yaw), math.sin(yaw)

    def see(self, x: float, z: float) -> tuple[float, float]:
        """Returns a point of the world as metres right and ahead of the camera."""
        dx, dz = x - self.x, z - self.z
        return dx * self.cos - dz * self.sin, dx * self.sin + dz * self.cos

    def world(self, right: Array, ahead: Array) -> tuple[Array, Array]:
        """Returns the inverse of `see`."""
        return (
            self.x + right * self.cos + ahead * self.sin,
            self.z - right * self.sin + ahead * self.cos,
        )


class Canvas:
    """The buffers that panels are drawn into."""

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        h, w = camera.h, camera.w
        self.paint = np.zeros((h, w, 5), np.uint8)
        self.shade = np.ones((h, w), np.float32)
        self.depth = np.full((h, w), FAR, np.float32)
        self.instance = np.zeros((h, w), np.int16)
        self._columns = (
            np.arange(w, dtype=np.float32) + 0.5 - camera.u0
        ) / camera.focal
        self._rows = (np.arange(h, dtype=np.float32) + 0.5 - camera.v0) / camera.focal

    def panel(self, panel: Panel) -> None:
        """Draws an upright rectangle where nothing nearer is."""
        cam = self.camera
        (xa, za), (xb, zb) = cam.see(*panel.left), cam.see(*panel.right)
        if max(za, zb) <= NEAR:
            return
        a, b = 0.0, 1.0
        if za < NEAR:
            a = (NEAR - za) / (zb - za)
        if zb < NEAR:
            b = (NEAR - za) / (zb - za)
        ends = [(xa + (xb - xa) * s) / (za + (zb - za) * s) for s in (a, b)]
        left = max(0, math.ceil(cam.u0 + cam.focal * min(ends) - 0.5))
        right = min(cam.w, math.ceil(cam.u0 + cam.focal * max(ends) - 0.5))
        nearest = min(za + (zb - za) * a, za + (zb - za) * b)
        top, bottom = cam.y - panel.high, cam.y - panel.low
        farthest = max(za, zb)
        v_top = top / (nearest if top < 0 else farthest)
        v_bottom = bottom / (nearest if bottom > 0 else farthest)
        up = max(0, math.floor(cam.v0 + cam.focal * v_top))
        down = min(cam.h, math.ceil(cam.v0 + cam.focal * v_bottom) + 1)
        if left >= right or up >= down:
            return
        ray = self._columns[left:right]
        dx, dz = xb - xa, zb - za
        depth = (xa * dz - za * dx) / (ray * dz - dx)
        s = (ray * depth - xa) / dx if abs(dx) > abs(dz) else (depth - za) / dz
        pixels = self._level(panel.sprite.levels, panel, float(depth.mean()))
        rows, cols = pixels.shape[:2]
        sx = np.clip((s * cols).astype(np.int32), 0, cols - 1)
        below = self._rows[up:down, None] * depth[None, :] - top
        ty = below * (rows / (panel.high - panel.low))
        sy = ty.astype(np.int32)
        inside = (
            (ty >= 0) & (sy < rows) & (depth[None, :] < self.depth[up:down, left:right])
        )
        np.clip(sy, 0, rows - 1, out=sy)
        texel = pixels[sy, sx[None, :]]
        inside &= texel[..., 3] > 0
        if not inside.any():
            return
        window = np.s_[up:down, left:right]
        self.depth[window] = np.where(inside, depth[None, :], self.depth[window])
        self.instance[window][inside] = panel.instance
        if panel.see_through:
            self.paint[window][inside, 3] = texel[inside, 3]
            inside &= texel[..., 5] > 0
        self.paint[window][inside] = texel[inside][:, :5]
        self.shade[window][inside] = panel.shade

    def _level(self, levels: tuple[Array, ...], panel: Panel, depth: float) -> Array:
        """Returns the copy whose pixels are about as large as the picture's."""
        if len(levels) == 1:
            return levels[0]
        ppm = levels[0].shape[0] / (panel.high - panel.low)
        ratio = ppm * max(depth, NEAR) / self.camera.focal
        level = int(max(0.0, math.log2(max(ratio, 1e-3)) + 0.4))
        return levels[min(level, len(levels) - 1)]

    def stand(self, stand: Stand) -> None:
        """Draws a sprite that faces the camera."""
        cam = self.camera
        half = stand.width / 2
        rx, rz = cam.cos * half, -cam.sin * half
        self.panel(
            Panel(
                (stand.x - rx, stand.z - rz),
                (stand.x + rx, stand.z + rz),
                stand.low,
                stand.high,
                stand.sprite,
                stand.instance,
                stand.shade,
            )
        )


def render(street: Street, time: int, height: int) -> View:
    """Returns what is seen at frame ``time``, in a picture ``(height 2*height)``."""
    camera = Camera(street, time, height)
    canvas = Canvas(camera)
    ground = _Ground(street, camera)
    ground.lay(canvas)
    sky = _sky(street, camera)
    late: list[Panel] = []
    for panel in street.panels:
        if panel.see_through:
            late.append(panel)
        else:
            canvas.panel(panel)
    for stand in street.stands:
        canvas.stand(stand)
    eye = (camera.x, camera.z)
    for thing in street.things:
        for face in thing.faces(street, thing, time, eye):
            if isinstance(face, Stand):
                canvas.stand(face)
            else:
                canvas.panel(face)
    for panel in late:
        canvas.panel(panel)
    shadow = ground.shadow(time, street.things)
    on_ground = canvas.depth >= ground.depth - 1e-3
    on_ground &= ground.depth < FAR
    canvas.shade[on_ground] = shadow[on_ground]
    return _develop(street, camera, canvas, sky, height)


class _Ground:
    """The plane that everything stands on."""

    def __init__(self, street: Street, camera: Camera) -> None:
        self.street, self.camera = street, camera
        h, w = camera.h, camera.w
        rows = (np.arange(h, dtype=np.float32) + 0.5 - camera.v0) / camera.focal
        self.first = int(np.argmax(rows > camera.y / 900.0))
        ahead = camera.y / rows[self.first :]
        ray = (np.arange(w, dtype=np.float32) + 0.5 - camera.u0) / camera.focal
        right = ray[None, :] * ahead[:, None]
        self.ahead = np.broadcast_to(ahead[:, None], right.shape)
        x, z = camera.world(right, self.ahead)
        self.x, self.z = x.astype(np.float32), z.astype(np.float32)
        self.d = (self.x - street.bend(self.z)).astype(np.float32)
        self.depth = np.full((h, w), FAR, np.float32)
        self.depth[self.first :] = self.ahead

    def _tile(self, kind: str, scale: float, slot: int) -> Array:
        """Returns noise laid on the ground, ``scale`` cells a metre."""
        ox, oz = self.street.offsets[slot], self.street.offsets[(slot + 3) % 8]
        x = (self.x * scale + ox).astype(np.int32) & 511
        z = (self.z * scale + oz).astype(np.int32) & 511
        return overlays.noise(kind)[z, x]

    def lay(self, canvas: Canvas) -> None:
        """Writes colours and labels of road, pavement and terrain."""
        street, d, z = self.street, self.d, self.z
        off = np.abs(d)
        right = d > 0
        verge, pavement = (
            np.where(right, pair[1], pair[0])
            for pair in (street.verge, street.pavement)
        )
        label = np.full(d.shape, draw.TERRAIN, np.uint8)
        reach = street.half + verge + pavement
        paved = np.where(right, *street.paved_strip[::-1])
        strip = np.where(right, *street.strip[::-1])
        walk = (off >= street.half + verge) & (off < reach + np.where(paved, strip, 0))
        label[walk] = draw.SIDEWALK
        road = off < street.half
        for start, end in street.junctions:
            cross = (z >= start) & (z < end)
            border = (z >= start - 2.2) & (z < end + 2.2) & ~cross
            label[border & ~road] = draw.SIDEWALK
            road |= cross
        label[road] = draw.ROAD
        colour = self._colours(label, off)
        window = canvas.paint[self.first :]
        window[..., :3] = np.clip(colour, 0, 255)
        window[..., 3] = label
        canvas.depth[self.first :] = self.ahead

    def _colours(self, label: Array, off: Array) -> Array:
        street, d, z = self.street, self.d, self.z
        names = street.colours
        table = np.zeros((40, 3), np.float32)
        table[draw.ROAD] = names['road']
        table[draw.SIDEWALK] = names['sidewalk']
        table[draw.TERRAIN] = names['terrain']
        colour = table[label]
        road, walk = label == draw.ROAD, label == draw.SIDEWALK
        blotch, grain = self._tile('fractal', 9.0, 0), self._tile('grain', 40.0, 1)
        mended = road & (self._tile('fractal', 5.0, 2) > 1.25)
        colour[mended] = names['patch']
        if street.rails is not None:
            for track in (street.rails, -street.rails):
                for rail in (-0.72, 0.72):
                    colour[road & (np.abs(d - track - rail) < 0.07)] *= 0.62
        self._markings(colour, road, off)
        joints = walk & (((z % 0.9) < 0.07) | ((d % 0.9) < 0.07)) & (self.ahead < 26)
        colour[joints] *= 0.86
        kerb = walk & (off - street.half < 0.2) & (off >= street.half)
        colour[kerb] = names['kerb']
        rough = np.where(label == draw.TERRAIN, 0.15, 0.055)
        return colour * (1 + rough * blotch + 0.06 * grain)[..., None]

    def _markings(self, colour: Array, road: Array, off: Array) -> None:
        street, d, z = self.street, self.d, self.z
        paint = street.colours['paint']
        worn = self._tile('grain', 15.0, 3) < 1.1
        inside = np.zeros(road.shape, bool)
        for start, end in street.junctions:
            inside |= (z >= start) & (z < end)
            zebra = (z >= start - 4) & (z < start - 1) & ((d % 1.0) < 0.5) & worn
            colour[zebra & (off < street.half - 0.2)] = paint
            inside |= (z >= start - 5) & (z < start)
        if not street.marks:
            return
        dashed = ((z % 8.0) < 3.6) & worn & ~inside & road
        colour[dashed & (off < 0.09)] = paint
        if street.marks == 4:
            colour[dashed & (np.abs(off - 3.3) < 0.08)] = paint
        edge = 1.65 * street.marks
        if edge + 0.2 < street.half:
            colour[worn & ~inside & road & (np.abs(off - edge) < 0.07)] = paint

    def shadow(self, time: int, things: list[Thing]) -> Array:
        """Returns the light on the ground ``(h w)``, with all shadows."""
        street, camera = self.street, self.camera
        light = street.light
        dark = np.zeros((camera.h, camera.w), np.uint8)
        if light.sunny:
            dark[self.first :][self._long_shadows()] = 255
            for x, z, radius, high in street.shadows:
                self._blob(dark, x, z, radius, high)
            for thing in things:
                self._thing_shadow(dark, thing, time)
        soft = np.zeros_like(dark)
        for thing in things:
            self._contact(soft, thing, time)
        dark = cv2.blur(dark, (3, 3)).astype(np.float32) / 255
        soft = cv2.blur(soft, (5, 5)).astype(np.float32) / 255
        lit = light.ambient + 0.75 * light.direct * (1 - dark)
        return lit * (1 - 0.5 * soft)

    def _long_shadows(self) -> Array:
        """Returns where houses and walls shade the ground."""
        light = self.street.light
        shaded = np.zeros(self.d.shape, bool)
        lx, lz = light.fall
        for side, z0, z1, height, front in self.street.blockers:
            if lx * side > -0.15:
                continue
            reach = front - self.d * side  # metres from the foot of the house
            back = self.z - reach * lz / abs(lx)
            shaded |= (
                (reach > 0)
                & (reach < height * light.slope * abs(lx))
                & (back > z0)
                & (back < z1)
            )
        return shaded

    def _polygon(self, mask: Array, corners: Array) -> None:
        """Fills a polygon of the ground, given as rows of ``(x, z)``."""
        cam = self.camera
        points = []
        for x, z in corners:
            right, ahead = cam.see(float(x), float(z))
            if ahead < NEAR:
                return
            points.append(
                (cam.u0 + cam.focal * right / ahead, cam.v0 + cam.focal * cam.y / ahead)
            )
        at = np.clip(np.array(points) * 16, -2e6, 2e6).astype(np.int32)
        cv2.fillPoly(mask, [cv2.convexHull(at)], 255, shift=4)

    def _blob(
        self, mask: Array, x: float, z: float, radius: float, high: float
    ) -> None:
        light = self.street.light
        cx = x + light.fall[0] * light.slope * high
        cz = z + light.fall[1] * light.slope * high
        turn = np.linspace(0, 2 * math.pi, 13)[:-1]
        self._polygon(
            mask, np.stack([cx + radius * np.cos(turn), cz + radius * np.sin(turn)], 1)
        )

    def _footprint(self, thing: Thing, time: int, grow: float = 0.0) -> Array:
        d, z = thing.at(time)
        x, z = self.street.place(d, z)
        turn = self.street.heading(z)
        ex, ez = math.sin(turn), math.cos(turn)
        half, wide = thing.size[0] / 2 + grow, thing.size[1] / 2 + grow
        corners = [
            (a * half, b * wide) for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))
        ]
        return np.array(
            [(x + ex * a + ez * b, z + ez * a - ex * b) for a, b in corners]
        )

    def _thing_shadow(self, mask: Array, thing: Thing, time: int) -> None:
        light = self.street.light
        foot = self._footprint(thing, time)
        fall = np.array(light.fall) * light.slope * thing.size[2] * 0.9
        self._polygon(mask, np.concatenate([foot, foot + fall]))

    def _contact(self, mask: Array, thing: Thing, time: int) -> None:
        self._polygon(mask, self._footprint(thing, time, 0.1))


def _sky(street: Street, camera: Camera) -> Array:
    """Returns the sky ``(h w 3)``; below the horizon it is never seen."""
    light = street.light
    rows = (camera.v0 - np.arange(camera.h, dtype=np.float32)) / camera.h
    up = np.clip(rows / 0.5, 0, 1)[:, None, None]
    sky = np.array(light.haze) * (1 - up) + np.array(light.zenith) * up
    sky = np.broadcast_to(sky, (camera.h, camera.w, 3)).astype(np.float32)
    high = np.maximum(rows, 0.02)
    yaw = math.atan2(camera.sin, camera.cos) * camera.focal
    u = np.arange(camera.w, dtype=np.float32) - camera.u0 + yaw
    x = (u[None, :] / camera.h / high[:, None] * 26 + street.offsets[4]).astype(
        np.int32
    )
    y = (9.0 / high + street.offsets[5]).astype(np.int32)
    cloud = overlays.noise('fractal')[y[:, None] & 511, x & 511]
    cover = np.clip((cloud + light.clouds - 0.6) * 0.7, 0, 1)[..., None]
    white = (
        np.array((240.0, 240.0, 242.0)) if light.sunny else np.array(light.haze) * 0.9
    )
    return sky * (1 - cover) + white * cover


def _develop(
    street: Street, camera: Camera, canvas: Canvas, sky: Array, height: int
) -> View:
    """Averages the fine buffers into the picture."""
    size = (2 * height, height)
    is_sky = canvas.depth >= FAR
    albedo = canvas.paint[..., :3].astype(np.float32)
    lit = albedo * canvas.shade[..., None] * np.array(street.light.tint, np.float32)
    lit[is_sky] = sky[is_sky]
    albedo[is_sky] = sky[is_sky]
    canvas.paint[is_sky, 3] = draw.SKY
    lit = np.clip(lit, 0, 255)

    def shrink(image: Array) -> Array:
        return cv2.resize(image, size, interpolation=cv2.INTER_AREA)

    pick = np.s_[1::FINE, 1::FINE]
    depth = np.ascontiguousarray(canvas.depth[pick])
    rows = np.arange(height, dtype=np.float32) * FINE + 1.5
    cols = np.arange(2 * height, dtype=np.float32) * FINE + 1.5
    near = np.minimum(depth, 2000.0)
    right = (cols[None, :] - camera.u0) / camera.focal * near
    drop = (rows[:, None] - camera.v0) / camera.focal * near
    x, z = camera.world(right, near)
    label = np.ascontiguousarray(canvas.paint[pick][..., 3])
    instance = np.ascontiguousarray(canvas.instance[pick])
    view = View(
        shrink(lit),
        shrink(albedo),
        label,
        instance,
        depth,
        shrink(canvas.paint[..., 4].astype(np.float32)) / 255,
        (x - street.bend(z)).astype(np.float32),
        camera.y - drop,
        z.astype(np.float32),
        camera.v0 / FINE,
        camera.focal / FINE,
        np.array(
            [(*camera.see(lamp.x, lamp.z), lamp.y - camera.y) for lamp in street.lamps]
        ).reshape(-1, 3)[:, [0, 2, 1]],
        np.stack([right, -drop, near], -1).astype(np.float32),
    )
    if street.bonnet:
        _bonnet(street, view)
    return view


def _bonnet(street: Street, view: View) -> None:
    """Puts the camera's own car at the bottom; it belongs to no class."""
    h, w = view.label.shape
    across = (np.arange(w) + 0.5) / w * 2 - 1
    top = h * (1 - street.bonnet * (1 - 0.5 * across**2))
    hides = (np.arange(h)[:, None] + 0.5) > top[None, :]
    colour = np.array((44.0, 46.0, 52.0)) + street.offsets[6] / 6
    for image in (view.colour, view.albedo):
        image[hides] = colour * street.light.ambient
    view.label[hides] = draw.EGO
    view.instance[hides] = 0
    view.depth[hides] = 1.0
    view.emission[hides] = 0
