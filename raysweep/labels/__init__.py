"""Label maths of dual-domain affect fusion: tensors in, tensors out, nothing learnt by gradient.

    va, labels -> class_gaussians -> gaussian_labels  \\
                                                        fuse_labels -> sample_weights -> the loss
    va, labels -> class_means -> euclidean_labels     /

`flip_labels` and its siblings make the noise that all this is measured under.
"""

from raysweep.labels.euclidean import class_means, euclidean_labels
from raysweep.labels.fusion import fuse_labels, one_hot, smooth_labels
from raysweep.labels.gaussians import VARIANCE_FLOOR, ClassGaussians, class_gaussians, gaussian_labels
from raysweep.labels.noise import (
    NOISE_KINDS,
    flip_labels,
    flip_labels_by_confusion,
    flip_labels_with_replacement,
    human_confusion,
    perturb_va,
)
from raysweep.labels.weights import WEIGHT_RULES, class_weights, sample_weights

__all__ = [
    "NOISE_KINDS",
    "VARIANCE_FLOOR",
    "WEIGHT_RULES",
    "ClassGaussians",
    "class_gaussians",
    "class_means",
    "class_weights",
    "euclidean_labels",
    "flip_labels",
    "flip_labels_by_confusion",
    "flip_labels_with_replacement",
    "fuse_labels",
    "gaussian_labels",
    "human_confusion",
    "one_hot",
    "perturb_va",
    "sample_weights",
    "smooth_labels",
]
