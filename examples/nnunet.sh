#!/usr/bin/env bash
# nnU-Net v2, stock commands, with losses of the atlas: a few minutes on a processor, on a synthetic data set.
# Needs `pip install lossodyssey[all]`, nnunetv2 2.8, and a torchvision that matches torch.
set -euo pipefail
work=${1:-nnunet-example}
export nnUNet_raw=$work/raw nnUNet_preprocessed=$work/preprocessed nnUNet_results=$work/results
export nnUNet_n_proc_DA=1 nnUNet_def_n_proc=1
data=${2:-phantom}

lossodyssey nnunet export "$data" "$nnUNet_raw/Dataset004_Example" --cases 12 --held-out 2
nnUNetv2_plan_and_preprocess -d 4 -c 3d_fullres -np 1 -npfp 1
lossodyssey nnunet small "$nnUNet_preprocessed/Dataset004_Example/nnUNetPlans.json"

eval "$(lossodyssey nnunet env)"
for loss in DiceTopK Tversky; do
  trainer=nnUNetTrainerLO_${loss}__odyssey__lr3e3__4epochs__20iterations
  nnUNetv2_train 4 3d_fullres_small 0 -tr "$trainer" -device cpu
  nnUNetv2_predict_from_modelfolder -i "$nnUNet_raw/Dataset004_Example/imagesTs" -o "$work/$loss" -f 0 \
    -m "$nnUNet_results/Dataset004_Example/${trainer}__nnUNetPlans__3d_fullres_small" -device cpu --disable_tta
  lossodyssey evaluate "$work/$loss" "$nnUNet_raw/Dataset004_Example/labelsTs" -o "$work/$loss.csv" --loss "$loss()"
done
