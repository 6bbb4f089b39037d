"""Data sets prepared once: cropped faces in one memory-mapped array, labels in Parquet, a manifest written last."""
