#!/usr/bin/env bash
# nnU-Net v2 with losses of the atlas, through its own commands: examples/nnunet.sh [DATASET [FOLDER]]
# DATASET is a name or a folder: by default the hippocampus set in $LOSSODYSSEY_DATA, else a synthetic one.
# Needs `pip install lossodyssey[all,nnunet]` and a torchvision that matches torch. The defaults take some minutes on
# a processor and show that the pieces fit; LOSSES, EPOCHS and ITERATIONS in the environment change them.
set -euo pipefail
hippocampus=${LOSSODYSSEY_DATA:-}/Task04_Hippocampus
if [ -d "$hippocampus" ]; then default=$hippocampus; else default=phantom; fi
data=${1:-$default}
work=${2:-nnunet-example}
export nnUNet_raw=$work/raw nnUNet_preprocessed=$work/preprocessed nnUNet_results=$work/results
export nnUNet_n_proc_DA=1 nnUNet_def_n_proc=1
raw=$nnUNet_raw/Dataset004_Example

lossodyssey nnunet export "$data" "$raw" --cases 8 --held-out 2
nnUNetv2_plan_and_preprocess -d 4 -c 3d_fullres -np 1 -npfp 1
lossodyssey nnunet small "$nnUNet_preprocessed/Dataset004_Example/nnUNetPlans.json"

eval "$(lossodyssey nnunet env)"
export nnUNet_n_proc_DA=0
for loss in ${LOSSES:-DiceTopK Tversky}; do
  trainer=nnUNetTrainerLO_${loss}__${EPOCHS:-2}epochs__${ITERATIONS:-10}iterations
  nnUNetv2_train 4 3d_fullres_small 0 -tr "$trainer" -device cpu
  env -u nnUNet_extTrainer nnUNetv2_predict_from_modelfolder -i "$raw/imagesTs" -o "$work/$loss" -f 0 \
    -m "$nnUNet_results/Dataset004_Example/${trainer}__nnUNetPlans__3d_fullres_small" \
    -device cpu --disable_tta -npp 1 -nps 1
  lossodyssey evaluate "$work/$loss" "$raw/labelsTs" -o "$work/$loss.csv" --loss "$loss()"
done
