"""Label maths of dual-domain affect fusion: tensors in, tensors out, nothing learnt by gradient.

    va, labels -> class_gaussians -> gaussian_labels  \\
                                                        fuse_labels -> sample_weights -> the loss
    va, labels -> class_means -> euclidean_labels     /

`flip_labels` and its siblings make the noise that all this is measured under. `registry` says which soft labels there
are, without importing torch; nothing is imported here, so that names are known before anything slow is.
"""
