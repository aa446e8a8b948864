"""Triton's kernels run through its interpreter where there is no GPU: this must be said before they are imported."""

from __future__ import annotations

import os

import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"
