"""Built-in faces: a parametric data set for expression recognition that needs no download."""

from .affect import Affect, affect_at, sample_affect
from .build import FACES_VERSION, bayes_ceiling, build_faces
from .criteria import Criteria, criteria_at, criteria_of
from .raters import RaterModel
from .render import render_actions, render_faces
from .sites import SITES, SITES_VERSION, Site, build_site

__all__ = [
    "FACES_VERSION",
    "SITES",
    "SITES_VERSION",
    "Affect",
    "Criteria",
    "RaterModel",
    "Site",
    "affect_at",
    "bayes_ceiling",
    "build_faces",
    "build_site",
    "criteria_at",
    "criteria_of",
    "render_actions",
    "render_faces",
    "sample_affect",
]
