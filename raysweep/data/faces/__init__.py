"""Built-in faces: a parametric data set for expression recognition that needs no download."""

from raysweep.data.faces.affect import Affect, affect_at, sample_affect
from raysweep.data.faces.build import FACES_VERSION, bayes_ceiling, build_faces
from raysweep.data.faces.raters import RaterModel
from raysweep.data.faces.render import render_actions, render_faces

__all__ = [
    "FACES_VERSION",
    "Affect",
    "RaterModel",
    "affect_at",
    "bayes_ceiling",
    "build_faces",
    "render_actions",
    "render_faces",
    "sample_affect",
]
