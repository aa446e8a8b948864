# Two commands do everything on a machine with Python 3.10 or newer: make demo, make test.
PYTHON ?= python3
BIN := .venv/bin
OTHER = .venv-$(notdir $(PYTHON))
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt
CHECKED := $(wildcard src tests benchmarks examples paper docs tools)

.PHONY: demo test test-python test-nnunet test-keras test-cluster lint sanitize test-wheel bench bench-gpu pages odyssey-page docs tutorials release clean

demo: .venv/all
	$(BIN)/lossodyssey demo --output demo

# A process for each core, and one thread for each process: more threads than cores wait for each other. The tests of a
# file stay in one process, because what they share, such as a trained study or the site, is made once in each.
test: .venv/test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile --durations 25

# The same on another Python, in an environment of its own: make test-python PYTHON=python3.13 TESTS="tests/core tests/cli"
test-python: $(OTHER)/done
	OMP_NUM_THREADS=1 $(OTHER)/bin/python -m pytest -n auto --dist loadfile $(TESTS)

test-nnunet: .venv-nnunet/done
	OMP_NUM_THREADS=1 .venv-nnunet/bin/python -m pytest tests/integrations -k nnunet -n auto --durations 5

test-keras: .venv-keras/done
	OMP_NUM_THREADS=1 .venv-keras/bin/python -m pytest tests/integrations/test_keras.py -n 2 --durations 3

# A sweep on a real SLURM and a real Ray cluster, both started on this machine; as root, SLURM is installed for it.
test-cluster: .venv/test .venv/slurm .venv/ray
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/cluster/on_slurm.py tests/cluster/on_ray.py -n 0 -rs --durations 3

# The C code with checks of addresses and undefined behaviour, in a cache of its own. The runtime of the checks comes
# before everything else in the process, and that of C++ with it, because PyTorch throws exceptions.
sanitize: .venv/test
	mkdir -p build/sanitize
	XDG_CACHE_HOME=$(CURDIR)/build/sanitize ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 OMP_NUM_THREADS=2 \
	    LOSSODYSSEY_CFLAGS="-g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all" \
	    LD_PRELOAD="$$($(CC) -print-file-name=libasan.so) $$($(CC) -print-file-name=libstdc++.so.6)" \
	    $(BIN)/python tests/native/sanitized.py

# A wheel with the C code inside, installed and used where no compiler is found; and one that is built without any.
test-wheel: .venv/test
	$(BIN)/python tests/native/wheel.py

lint: .venv/test
	$(BIN)/ruff format --check $(CHECKED)
	$(BIN)/ruff check $(CHECKED)
	$(BIN)/mypy
	$(BIN)/python tests/lint/english.py

pages: .venv/all
	$(BIN)/python docs/generate.py

# Every number of docs/odyssey.md, from the records in paper/results; the same as a page of figures beside it.
odyssey-page: .venv/all
	mkdir -p build
	$(BIN)/python paper/odyssey.py --report build/odyssey.html

# Run the tutorials, and write their pages with what they printed: some minutes.
tutorials: .venv/all
	OMP_NUM_THREADS=1 $(BIN)/python docs/tutorials.py

docs: .venv/docs
	$(BIN)/python -m mkdocs build --strict
	@echo "The site is in $(CURDIR)/site: open index.html in a browser, search included,"
	@echo "or serve it: $(BIN)/python -m http.server --directory site 8000"

# Build, check the wheel, write the notes: a dry run. `make release TAG=--tag` tags the commit, too.
release: .venv/all
	$(INSTALL) build
	$(BIN)/python tools/release.py $(TAG)

bench: .venv/test
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks --shapes 2x3x96x96x96 1x14x96x96x96 2x2x512x512 --output losses_aims --only DiceCE TopK DiceTopK \
	    "Dice + CE + Focal" Lovasz "plain Lovasz" Boundary HausdorffDT "HausdorffDT, map made" SkeletonRecall CenterlineCE \
	    CenterlineDice CenterlineBoundaryDice "MONAI DiceCELoss" "MONAI HausdorffDTLoss" "nnU-Net DC_and_CE_loss"
	$(BIN)/python -m benchmarks --threads 2 --no-memory --output losses_two_threads --only DiceCE Boundary \
	    "Dice + CE + Focal" "MONAI DiceCELoss" "nnU-Net DC_and_CE_loss"
	$(BIN)/python -m benchmarks --shapes 2x3x96x96x96 2x2x512x512 --output losses_boundary --only DiceCE Boundary \
	    BoundaryDoU ActiveBoundary ActiveContour ContourDice ElasticInteraction GeneralizedSurface HausdorffConvolution \
	    HausdorffDT HausdorffErosion Perimeter RegionWise ShapeAware ShapeDescriptors SignedDistanceRegression \
	    SurfaceDiceDilation
	$(BIN)/python -m benchmarks --shapes 2x3x64x64x64 --output losses_centerline --only CenterlineDice "MONAI SoftclDiceLoss" \
	    "CenterlineDice, torch.compile"
	$(BIN)/python -m benchmarks --shapes 2x3x96x96x96 1x14x96x96x96 2x2x512x512 --output losses_relations --only DiceCE Dice \
	    NonAdjacency TopologicalInteraction GeneralizedWassersteinDice RegionMutualInformation StructuralSimilarity
	$(BIN)/python -m benchmarks --shapes 2x3x96x96x96 2x2x512x512 --rounds 15 --output losses_shelf --only DiceCE CrossEntropy \
	    ConnectedComponents "plain ConnectedComponents" "Blobs of DiceCE" "plain Blobs of DiceCE" InverseWeighting \
	    "Marginal, a class hidden" "Marginal, other classes in each sample" Exclusion \
	    PolyCE PolyFocal OhemCE TiltedCE LargeMargin AsymmetricLargeMargin AsymmetricLargeMarginDice MarginCalibration \
	    CrossEntropyMarginalKL CrossEntropyMarginalL1 DicePlusPlus TverskyPlusPlus NoiseRobustDice LogCosh TvMFDice \
	    LabelSmoothing SpatialLabelSmoothing MarginLogits NeighbourAware AverageCalibrationError SCNP
	$(BIN)/python -m benchmarks.few_classes
	$(BIN)/python -m benchmarks.distances
	$(BIN)/python -m benchmarks.gpu_paper
	$(BIN)/python -m benchmarks.bars
	$(BIN)/python benchmarks/metrics.py
	$(BIN)/python benchmarks/ranking_calibration.py
	$(BIN)/python benchmarks/ranking_speed.py
	$(BIN)/python -m benchmarks.engine
	$(BIN)/python -m benchmarks.allocator
	$(BIN)/python -m benchmarks.step_share

bench-gpu: .venv/test
	for dtype in float32 float16 bfloat16; do $(BIN)/python -m benchmarks --device cuda --dtype $$dtype --output losses_cuda_$$dtype; done

clean:
	rm -rf .venv .venv-* demo site

# torch goes first and alone: any package that asks for it then finds this one and brings no other.
.venv/torch: constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(INSTALL) torch==2.13.0
	touch $@

$(OTHER)/done: constraints.txt pyproject.toml
	$(PYTHON) -m venv $(OTHER)
	$(OTHER)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt torch==2.13.0
	$(OTHER)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test]'
	touch $@

# nnU-Net brings packages of 2 GB and pins of its own, hence an environment of its own. Python compiles the modules that
# the tests import when it first sees them; all modules of these packages would take longer.
.venv-nnunet/done: constraints-nnunet.txt pyproject.toml
	$(PYTHON) -m venv .venv-nnunet
	.venv-nnunet/bin/pip install --quiet --no-compile --constraint constraints-nnunet.txt torch==2.13.0
	.venv-nnunet/bin/pip install --quiet --no-compile --constraint constraints-nnunet.txt --editable '.[all,nnunet]' pytest pytest-xdist
	touch $@

# Keras comes with JAX and TensorFlow, which those who use the losses without Keras need not install.
.venv-keras/done: constraints.txt constraints-keras.txt pyproject.toml
	$(PYTHON) -m venv .venv-keras
	.venv-keras/bin/pip install --quiet --no-compile --constraint constraints.txt torch==2.13.0
	.venv-keras/bin/pip install --quiet --no-compile --constraint constraints.txt --constraint constraints-keras.txt \
	    --editable '.[keras]' jax "tensorflow-cpu; platform_machine == 'x86_64'" pytest pytest-xdist
	touch $@

.venv/%: .venv/torch pyproject.toml
	$(INSTALL) --editable '.[$*]'
	touch $@
