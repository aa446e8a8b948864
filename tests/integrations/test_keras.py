"""Keras 3 on its three back ends: values of torch, whole trainings, saved and loaded models (`make test-keras`)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BACKENDS = {"torch": "torch", "jax": "jax", "tensorflow": "tensorflow"}
SUITE = Path(__file__).parent / "keras_suite.py"


@pytest.mark.parametrize("backend", BACKENDS)
def test_suite_passes_on_the_back_end(backend: str) -> None:
    pytest.importorskip("keras", reason="Keras is not installed")
    pytest.importorskip(BACKENDS[backend], reason=f"{backend} is not installed")
    variables = os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    arguments = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", str(SUITE)]
    done = subprocess.run(arguments, env=variables, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
