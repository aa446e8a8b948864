"""Losses as the code behind the published tables computes them, deviations included.

The atlas holds the right formulas; here are, for repeating published runs as they were, the formulas of the code that
was released with them (SegLoss, 2020 to 2023), and of authors' own code that is not what their paper says. Each stands
beside the loss whose name it carries. Where fields of the right loss already reach the released one there is no class:
weighted cross entropy is
`CrossEntropy(class_weights=..., normalization="weights")`, and every region loss was run with `batch=True`.
"""
