"""Losses of the probability of each voxel's true class."""
