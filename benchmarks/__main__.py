"""`python -m benchmarks` measures the losses; see `benchmarks.losses`."""

from benchmarks.losses import main

main()
