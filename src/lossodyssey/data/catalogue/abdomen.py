"""Abdominal CT: liver, pancreas, kidneys and several organs at once."""

from __future__ import annotations

from lossodyssey.data.catalogue.entry import ALL_AXES, Entry

SAME_SIDES = "all axes: no class is told from another by its side"
ONE_PATIENT = "every case is a patient of its own"
NIH = "https://www.cancerimagingarchive.net/collection/pancreas-ct/"
MULTI_ORGAN = "https://doi.org/10.5281/zenodo.1169361"
ORGANS = ("spleen", "left kidney", "gallbladder", "oesophagus", "liver", "stomach", "pancreas", "duodenum")

ABDOMEN: tuple[Entry, ...] = (
    Entry(
        name="LiTS",
        description="Liver and its tumours in CT of seven hospitals",
        dims=3,
        classes=("liver", "tumour"),
        licence="CC BY-NC-ND 4.0",
        reference="Bilic et al. 2023, Medical Image Analysis 84:102680",
        source="https://competitions.codalab.org/competitions/17094",
        flip_axes=ALL_AXES,
        modality="CT",
        cases="131 training, 70 test (labels not public)",
        imbalance="42:1 liver with its tumours (Loss Odyssey, Table 1)",
        terms="registration; no commercial use, no changed copies",
        layout="Training_Batch1.zip, Training_Batch2.zip\n  volume-0.nii  segmentation-0.nii  ... volume-130.nii",
        flips=SAME_SIDES,
        tolerance=1.0,
        tolerance_reason="the size of a voxel in the slice; the published benchmark's value was not looked up",
        grouping=ONE_PATIENT,
        traps=(
            "The same scans as Task03_Liver: never train on one and test on the other.",
            "Some patients have no tumour: the tumour class is empty there.",
            "Slices are 0.7 to 5 mm thick, and orientation differs between cases.",
        ),
        aliases=("LITS17", "LiTS 2017"),
        unchecked=("licence", "terms", "grouping", "traps"),
    ),
    Entry(
        name="LiTS_tumour",
        description="Tumours of the liver in CT, the liver itself counted as background",
        dims=3,
        classes=("tumour",),
        licence="CC BY-NC-ND 4.0",
        reference="Bilic et al. 2023, Medical Image Analysis 84:102680",
        source="https://competitions.codalab.org/competitions/17094",
        flip_axes=ALL_AXES,
        modality="CT",
        cases="131 training; those without a tumour have an empty label",
        terms="registration; no commercial use, no changed copies",
        layout="as LiTS",
        flips=SAME_SIDES,
        tolerance=1.0,
        tolerance_reason="the size of a voxel in the slice",
        grouping=ONE_PATIENT,
        traps=("Patients without a tumour have an empty label: DSC is undefined there.",),
        aliases=("LiTS tumor",),
        unchecked=("licence", "terms", "grouping"),
    ),
    Entry(
        name="NIH_Pancreas_CT",
        description="Healthy pancreas in portal-venous CT",
        dims=3,
        classes=("pancreas",),
        licence="CC BY 3.0",
        reference="Roth et al. 2015, MICCAI, DeepOrgan; data doi 10.7937/K9/TCIA.2016.tNB1kqBU",
        source=NIH,
        flip_axes=ALL_AXES,
        modality="CT",
        cases="82",
        terms="credit",
        layout=(
            "Pancreas-CT/\n  PANCREAS_0001/<study>/<series>/*.dcm\nTCIA_pancreas_labels-02-05-2017/\n  label0001.nii.gz"
        ),
        flips=SAME_SIDES,
        tolerance=1.0,
        tolerance_reason="the size of a voxel in the slice",
        grouping=ONE_PATIENT,
        traps=(
            "Numbers 25 and 70 are left out: they duplicate another patient.",
            "Labels lie mirrored against the DICOM series and carry no usable affine.",
        ),
        aliases=("Pancreas-CT", "NIH Pancreas", "TCIA Pancreas-CT", "NIH-Pancreas"),
        unchecked=("licence", "cases", "traps"),
    ),
    Entry(
        name="BTCV_multi_organ",
        description="Eight abdominal organs in CT of the Pancreas-CT and BTCV collections",
        dims=3,
        classes=ORGANS,
        licence="labels CC BY 4.0; images under the terms of Pancreas-CT and of BTCV",
        reference="Gibson et al. 2018, IEEE TMI 37(8):1822-1834",
        source=MULTI_ORGAN,
        flip_axes=(1, 2),
        modality="CT",
        cases="90: 43 of Pancreas-CT, 47 of BTCV",
        imbalance="30:1 to 1243:1 by organ (Loss Odyssey, Table 1)",
        terms="BTCV images: registration at Synapse (syn3193805), research only",
        layout=(
            "label_tciapancreasct_multiorgan.zip  label_btcv_multiorgan.zip  cropping.csv\n"
            "  label0001.nii.gz  ...\nimages from Pancreas-CT and BTCV (img0001.nii.gz)"
        ),
        flips="axes 1 and 2: the left kidney alone is a class, which a mirrored axis 0 would turn into the right one",
        tolerance=1.0,
        tolerance_reason="the size of a voxel in the slice",
        grouping=ONE_PATIENT,
        traps=(
            "Labels are cropped; `cropping.csv` says where.",
            "Label numbers have gaps; the right kidney counts as background.",
            "Shares 43 scans with NIH_Pancreas_CT.",
        ),
        aliases=("BTCV", "multi-organ", "Gibson multi-organ"),
        unchecked=("licence", "terms", "layout", "traps", "classes"),
    ),
    Entry(
        name="KiTS19",
        description="Kidneys and their tumours in arterial CT before surgery",
        dims=3,
        classes=("kidney", "tumour"),
        licence="CC BY-NC-SA 4.0",
        reference="Heller et al. 2021, Medical Image Analysis 67:101821",
        source="https://github.com/neheller/kits19",
        flip_axes=ALL_AXES,
        modality="CT",
        cases="210 training, 90 test (labels not public)",
        imbalance="114:1 kidney with tumour (measured on five cases)",
        terms="no commercial use, credit, share alike",
        layout="data/\n  case_00000/imaging.nii.gz\n  case_00000/segmentation.nii.gz",
        flips=SAME_SIDES,
        tolerance=1.0,
        tolerance_reason="the size of a voxel in the slice",
        grouping=ONE_PATIENT,
        traps=(
            "Array axis 0 is the body axis (axis codes I, P, L); spacing along it is 0.5 to 5 mm.",
            "Small stray pieces: 79 in the kidney of case_00151.",
            "The repository holds labels only; its script fetches the images.",
        ),
        aliases=("KiTS", "KiTS 2019"),
        unchecked=("cases",),
    ),
)
