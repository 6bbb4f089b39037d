"""What can be inferred from replicates and test images, beside the comparisons with the reference (`..results`)."""
