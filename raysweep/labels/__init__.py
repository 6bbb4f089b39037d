"""Label maths of dual-domain affect fusion, as functions of tensors without learnt parameters.

    va, labels -> class_gaussians -> gaussian_labels  \\
                                                        fuse_labels -> sample_weights -> the loss
    va, labels -> class_means -> euclidean_labels     /

`noise` has the label noise that fusion is measured under. `registry` lists the soft labels without importing torch;
this file imports nothing, so that names can be checked before slow imports.
"""
