"""Label maths of dual-domain affect fusion: tensors in, tensors out, nothing learnt by gradient.

    va, labels -> class_gaussians -> gaussian_labels  \\
                                                        fuse_labels -> sample_weights -> the loss
    va, labels -> class_means -> euclidean_labels     /

`flip_labels` and its siblings make the noise that all this is measured under.
"""

from raysweep.labels.euclidean import class_means, euclidean_labels
from raysweep.labels.fusion import fuse_labels, one_hot, smooth_labels
from raysweep.labels.gaussians import VARIANCE_FLOOR, ClassGaussians, class_gaussians, gaussian_labels
from raysweep.labels.mapping import (
    MIN_CLASS_SAMPLES,
    RIDGE,
    GaussianStats,
    class_stats,
    gaussian_stats,
    map_va,
    map_va_by_class,
)
from raysweep.labels.noise import (
    NOISE_KINDS,
    flip_labels,
    flip_labels_by_confusion,
    flip_labels_with_replacement,
    human_confusion,
    perturb_va,
)
from raysweep.labels.relabel import class_centroids, relabel_by_centroid
from raysweep.labels.votes import vote_labels
from raysweep.labels.weights import WEIGHT_RULES, class_weights, sample_weights

__all__ = [
    "MIN_CLASS_SAMPLES",
    "NOISE_KINDS",
    "RIDGE",
    "VARIANCE_FLOOR",
    "WEIGHT_RULES",
    "ClassGaussians",
    "GaussianStats",
    "class_centroids",
    "class_gaussians",
    "class_means",
    "class_stats",
    "class_weights",
    "euclidean_labels",
    "flip_labels",
    "flip_labels_by_confusion",
    "flip_labels_with_replacement",
    "fuse_labels",
    "gaussian_labels",
    "gaussian_stats",
    "human_confusion",
    "map_va",
    "map_va_by_class",
    "one_hot",
    "perturb_va",
    "relabel_by_centroid",
    "sample_weights",
    "smooth_labels",
    "vote_labels",
]
