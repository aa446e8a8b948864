"""MR of head and heart: gliomas, lesions of multiple sclerosis, the ventricles."""

from __future__ import annotations

from dataclasses import replace

from lossodyssey.data.catalogue.abdomen import ONE_PATIENT, SAME_SIDES
from lossodyssey.data.catalogue.entry import ALL_AXES, Entry

BRATS = Entry(
    name="BraTS2020",
    description="Gliomas in FLAIR, T1, contrast-enhanced T1 and T2 MR",
    dims=3,
    classes=("edema", "core without enhancement", "enhancing core"),
    licence="registration at CBICA; research only",
    reference="Menze et al. 2015, IEEE TMI 34(10):1993-2024; Bakas et al. 2017, Scientific Data 4:170117",
    source="https://www.med.upenn.edu/cbica/brats2020/data.html",
    flip_axes=ALL_AXES,
    modality="MR: flair, t1, t1ce, t2",
    cases="369 training, 125 validation (labels not public)",
    terms="registration, citation of the articles",
    layout=(
        "MICCAI_BraTS2020_TrainingData/\n  BraTS20_Training_001/\n    BraTS20_Training_001_flair.nii.gz  _t1  "
        "_t1ce  _t2  _seg"
    ),
    flips=SAME_SIDES,
    tolerance=1.0,
    tolerance_reason="the size of a voxel: all cases are resampled to 1 mm",
    grouping=ONE_PATIENT,
    traps=(
        "Labels in the files are 1 (core without enhancement), 2 (edema) and 4 (enhancing core).",
        "BraTS20_Training_355 has its label under the name W39_1998.09.19_Segm.nii.",
        "Scored as nested regions: whole tumour 1 2 4, core 1 4, enhancing 4.",
        "Some cases have no enhancing tumour.",
    ),
    aliases=("BraTS20", "BraTS 2020"),
    recipes=("BraTS2020",),
    unchecked=("cases", "licence", "terms"),
)
ACDC = Entry(
    name="ACDC2017",
    description="Short-axis cine cardiac MR, end-diastolic and end-systolic frames",
    dims=3,
    classes=("RV", "MYO", "LV"),
    licence="CC BY-NC-SA 4.0",
    reference="Bernard et al. 2018, IEEE TMI 37(11):2514-2525",
    source="https://www.creatis.insa-lyon.fr/Challenge/acdc/",
    flip_axes=(0, 1),
    modality="cine MR",
    cases="100 patients for training, 50 for testing, two frames each",
    imbalance="14.3:1 (measured on 100 end-diastolic frames, cropped)",
    terms="registration; no commercial use, credit, share alike",
    layout=(
        "training/  testing/\n  patient001/\n    Info.cfg  patient001_frame01.nii.gz  patient001_frame01_gt.nii.gz  "
        "patient001_4d.nii.gz"
    ),
    flips="axes 0 and 1, in the slice; base and apex lie along axis 2",
    tolerance=1.5,
    tolerance_reason="about the size of a voxel in the slice; slices are 5 to 10 mm thick",
    grouping="both frames of a patient",
    traps=(
        "Frames of one patient look alike: a split of frames leaks.",
        "The numbers of the ED and ES frames stand in Info.cfg.",
        "Some slices at base and apex are not annotated.",
    ),
    aliases=("ACDC", "ACDC 2017", "ACDC17"),
    recipes=("ACDC2017",),
    unchecked=("cases", "licence", "terms"),
)

HEAD_AND_HEART: tuple[Entry, ...] = (
    BRATS,
    replace(
        BRATS,
        name="BraTS2018",
        source="https://www.med.upenn.edu/sbia/brats2018/data.html",
        cases="285 training (210 HGG, 75 LGG), 66 validation (labels not public)",
        layout=(
            "MICCAI_BraTS_2018_Data_Training/\n  HGG/  LGG/\n    Brats18_TCIA02_118_1/\n      "
            "Brats18_TCIA02_118_1_flair.nii.gz  _t1  _t1ce  _t2  _seg"
        ),
        traps=(*BRATS.traps[:1], *BRATS.traps[2:], "Nearly all its cases are part of BraTS2020, too."),
        aliases=("BraTS18", "BraTS 2018"),
        recipes=("BraTS2018",),
    ),
    Entry(
        name="MS_lesions",
        description="White-matter lesions of multiple sclerosis patients, FLAIR in MNI space",
        dims=3,
        classes=("lesion",),
        licence="CC BY",
        reference="Lesjak et al. 2017, Neuroinformatics, doi 10.1007/s12021-017-9348-7",
        source="https://github.com/muschellij2/open_ms_data",
        modality="MR FLAIR",
        cases="30 patients",
        imbalance="518:1 in the median patient on the full grid (measured)",
        terms="credit",
        layout="cross_sectional/MNI/patient07/\n  FLAIR and consensus masks as NIfTI",
        flips="all axes: there is one foreground class",
        tolerance=1.0,
        tolerance_reason="the size of a voxel",
        grouping=ONE_PATIENT,
        traps=("Lesions of a few voxels are common (median 17): DSC and HD95 of a case are unstable.",),
        aliases=("open_ms_data",),
        unchecked=("layout",),
    ),
    ACDC,
    replace(
        ACDC,
        name="ACDC_ED_small",
        description="Short-axis cine cardiac MR, end-diastolic frame",
        cases="100",
        layout="ACDC_ED_small/\n  imagesTr/  labelsTr/  dataset.json",
        tolerance_reason="about the size of a voxel in the slice, as far as the nominal spacing is right",
        grouping=ONE_PATIENT,
        traps=(
            "The true spacing is lost: the header says 1.5 x 1.5 x 10 mm for all.",
            "Eleven cases have slices without any label.",
            "acdc_074 and acdc_076 are one image with two different label maps.",
        ),
        aliases=(),
        recipes=(),
    ),
)
