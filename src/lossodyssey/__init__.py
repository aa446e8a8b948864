"""LossOdyssey: segmentation losses, and a benchmark that says which one to use on your data."""

__version__ = "0.1.0"
