"""Drawing of faces, from people, affect and scenes to pictures."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from . import camera, eyes, head, skin
from .action_units import ACTION_UNITS, action_units, expected_actions
from .affect import Affect
from .canvas import Canvas, picture_axis
from .eyes import EyeShape
from .head import HairShape, HeadShape
from .identity import Identity, draw_identity
from .mouth import MouthShape, draw_mouth, shape_mouth
from .scene import Scene, draw_scene
from .skin import SkinShape

MIN_SIZE, MAX_SIZE = 32, 224
_CHUNK_PIXELS = 1 << 17
"""Pixels drawn at once, the fastest of 2**15 to 2**19: fewer cost calls of torch, more cost cache misses."""

_HEAP_BYTES = 30 << 20
"""Allocating and freeing this much once makes glibc keep freed memory, which it may otherwise return to
the kernel after every temporary plane. No effect with other allocators."""


def render_faces(
    indices_N: Tensor, identities_N: Tensor, affect: Affect, size: int, seed: int, nuisance: float = 1.0
) -> Tensor:
    """Pictures of N faces.

    Args:
        indices_N: (N,) int64 sample numbers, which key scene and individual variation.
        identities_N: (N,) int64 numbers of the people shown.
        affect: of each sample, from `sample_affect` or `affect_at`.
        size: height and width in pixels, 32 to 224.
        seed: of the whole data set.
        nuisance: 0 draws the average person's expression frontal, clean and in neutral light, 1 as in
            the data set.

    Returns:
        (N, 3, size, size) uint8. Row i depends on the i-th entries only, not on the rest of the batch.

    Raises:
        ValueError: if size is out of range.
    """
    check_size(size)
    units = action_units(affect, indices_N, seed) if nuisance > 0 else expected_actions(affect)
    return render_actions(indices_N, identities_N, units, size, seed, nuisance)


def render_actions(
    indices_N: Tensor, identities_N: Tensor, units_NA: Tensor, size: int, seed: int, nuisance: float = 1.0
) -> Tensor:
    """As `render_faces`, from action units (N, A) in the order of `ACTION_UNITS`."""
    check_size(size)
    people = draw_identity(identities_N, seed).planes()
    scenes = draw_scene(indices_N, seed, nuisance).planes()
    parts = _parts(people, scenes, units_NA)
    torch.empty(_HEAP_BYTES, dtype=torch.uint8)
    images = torch.empty(len(indices_N), 3, size, size, dtype=torch.uint8)
    step = max(1, _CHUNK_PIXELS // size**2)
    for start in range(0, len(indices_N), step):
        some = slice(start, start + step)
        chunk = parts.rows(some)
        images[some] = camera.develop(_paint(chunk, size), chunk.scene)
    return images


def check_size(size: int) -> None:
    """Raise ValueError unless the renderer supports this size."""
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise ValueError(f"`{MIN_SIZE} <= size <= {MAX_SIZE}` must hold, but got size={size}")


@dataclass(frozen=True)
class _Parts:
    """All parameters of a picture, to broadcast over pixels: every number is (n, 1, 1)."""

    identity: Identity
    scene: Scene
    head: HeadShape
    hair: HairShape
    skin: SkinShape
    eyes: EyeShape
    mouth: MouthShape

    def rows(self, some: slice) -> _Parts:
        return _Parts(*(getattr(self, field.name).rows(some) for field in fields(self)))


def _parts(identity: Identity, scene: Scene, units_NA: Tensor) -> _Parts:
    actions = {unit: units_NA[:, column, None, None] for column, unit in enumerate(ACTION_UNITS)}
    hair = head.shape_hair(identity)
    return _Parts(
        identity=identity,
        scene=scene,
        head=head.shape_head(identity, hair, actions),
        hair=hair,
        skin=skin.shape_skin(identity, actions),
        eyes=eyes.shape_eyes(identity, actions),
        mouth=shape_mouth(identity, actions),
    )


def _paint(parts: _Parts, size: int) -> Tensor:
    """Paint from back to front. Returns pixels (n, 3, size, size) float32."""
    person, scene = parts.identity, parts.scene
    axis = picture_axis(size)
    canvas = _empty_canvas(scene, parts.head, axis)
    head.draw_backdrop(canvas, scene, axis[None, None, :], axis[None, :, None])
    head.draw_back_hair(canvas, person, parts.hair, parts.head)
    head.draw_shoulders(canvas, person, parts.head)
    skin.draw_nose(canvas, parts.skin, scene)
    skin.draw_folds(canvas, parts.skin, parts.mouth)
    skin.draw_forehead(canvas, person, parts.skin)
    face = head.draw_head(canvas, person, parts.head, scene)
    skin.draw_blush(canvas, person)
    skin.draw_beard(canvas, person, parts.mouth, face)
    draw_mouth(canvas, person, parts.mouth)
    eyes.draw_eyes(canvas, person, parts.eyes, scene)
    head.draw_front_hair(canvas, person, parts.hair, parts.head, face)
    eyes.draw_brows(canvas, person, parts.eyes)
    eyes.draw_glasses(canvas, person)
    camera.draw_occluder(canvas, person.skin, scene)
    camera.expose(canvas.pixels, scene)
    camera.blur(canvas.pixels, scene)
    return canvas.pixels


def _empty_canvas(scene: Scene, outline: HeadShape, axis: Tensor) -> Canvas:
    """Coordinates of every pixel: roll, zoom and shift of the head, then yaw and pitch of its features."""
    size, count = len(axis), len(scene.roll)
    x, y = axis[None, None, :] - scene.shift_x, axis[None, :, None] - scene.shift_y
    cosine = (1 - scene.roll.square() / 2) / scene.zoom
    sine = scene.roll / scene.zoom
    u, v = x * cosine + y * sine, y * cosine - x * sine
    bulge = (u * (1 / outline.width)).square_().add_((v * (1 / outline.top)).square_())
    bulge.clamp_(max=1).neg_().add_(1.45)
    fu, fv = u - bulge * scene.yaw, v - bulge * scene.pitch
    pixels = torch.empty(count, 3, size, size)
    return Canvas(pixels, torch.ones(count, size, size), u, v, fu, fv, sharpness=size / 2.6)
