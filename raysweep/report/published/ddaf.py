"""Numbers printed in the DDAF paper (dual-domain affect fusion). All rates are fractions of 1 there too."""

from __future__ import annotations

from dataclasses import replace

from .table import EIGHT, Peer, PublishedTable, Row, Setting

PAPER = (
    "Neo, Chen and Winkler, Large-Scale Facial Expression Recognition Using Dual-Domain Affect Fusion for Noisy Labels"
)


SETTINGS = {
    "AffectNet": Setting("affectnet", EIGHT),
    "Aff-Wild": Setting("affwild"),
    "MorphSet": Setting("morphset"),
}
"""Section 4.1: eight classes of AffectNet, seven of MorphSet. Aff-Wild's number is not printed: the authors' code has
seven."""


def _settings(*names: str) -> dict[str, Setting]:
    return {name: SETTINGS[name] for name in names}


def _alpha_rows(*lines: str) -> tuple[Row, ...]:
    names = ("rmse_valence", "rmse_arousal", "accuracy", "macro_f1")
    return tuple(({"alpha": level}, dict(zip(names, values, strict=True))) for level, *values in map(str.split, lines))


def _noise_rows(*lines: str) -> tuple[Row, ...]:
    methods = ("one-hot", "Euclidean", "Gaussian")
    return tuple(
        ({"noise": noise, "method": method}, {"macro_f1": value})
        for noise, *values in map(str.split, lines)
        for method, value in zip(methods, values, strict=True)
    )


def _peers(*lines: str) -> tuple[Peer, ...]:
    """One method a line: its name, accuracy, macro-F1, RMSE of V and A, CCC of V and A; "-" where none is printed."""
    names = ("accuracy", "macro_f1", "rmse_valence", "rmse_arousal", "ccc_valence", "ccc_arousal")
    split = (line.rsplit(maxsplit=len(names)) for line in lines)
    return tuple(
        Peer(method, {name: value for name, value in zip(names, values, strict=True) if value != "-"})
        for method, *values in split
    )


_ALPHA = PublishedTable(
    source=f"{PAPER}, Table 4",
    study="ablation_alpha",
    settings=_settings("AffectNet", "MorphSet"),
    rows={
        "AffectNet": _alpha_rows(
            "0   0.344 0.301 0.5715 0.5643",
            "0.3 0.337 0.298 0.5958 0.5950",
            "0.5 0.333 0.302 0.6048 0.6066",
            "0.7 0.337 0.296 0.6046 0.6040",
            "1   0.337 0.302 0.5845 0.5843",
        ),
        "MorphSet": _alpha_rows(
            "0   0.063 0.069 0.9414 0.9417",
            "0.3 0.063 0.067 0.9500 0.9503",
            "0.5 0.060 0.065 0.9557 0.9561",
            "0.7 0.063 0.072 0.9457 0.9464",
            "1   0.071 0.081 0.9511 0.9511",
        ),
    },
    notes=(
        "The paper's own tables disagree: for one-hot labels without noise (alpha = 1) Table 4 prints macro-F1 0.5843 "
        "(AffectNet) and 0.9511 (MorphSet), Table 3 prints 0.6017 and 0.8999.",
        "That Table 4 uses Euclidean labels is inferred: its AffectNet macro-F1 at alpha = 0.5, 0.6066, stands in "
        "Table 3 under Euclidean. On MorphSet the same two cells read 0.9561 and 0.8912.",
    ),
)

_NOISE = PublishedTable(
    source=f"{PAPER}, Table 3",
    study="ablation_noise_rate",
    settings=SETTINGS,
    rows={
        "AffectNet": _noise_rows(
            "0   0.6017 0.6066 0.5945",
            "0.1 0.5842 0.5943 0.5920",
            "0.2 0.5193 0.5890 0.5748",
            "0.3 0.4336 0.5822 0.5746",
        ),
        "Aff-Wild": _noise_rows(
            "0   0.2227 0.2235 0.2325",
            "0.1 0.2130 0.2322 0.2174",
            "0.2 0.2184 0.2322 0.2305",
            "0.3 0.2221 0.2242 0.2267",
        ),
        "MorphSet": _noise_rows(
            "0   0.8999 0.8912 0.8922",
            "0.1 0.8939 0.8649 0.9030",
            "0.2 0.8709 0.8514 0.8866",
            "0.3 0.8377 0.8224 0.8883",
        ),
    },
    notes=(
        "The paper's own tables disagree: for one-hot labels without noise Table 3 prints macro-F1 0.6017 (AffectNet) "
        "and 0.8999 (MorphSet), Table 4 (alpha = 1) prints 0.5843 and 0.9511.",
        "The authors' code draws the flipped samples with replacement and the new label from all classes, so its "
        "nominal 10, 20 and 30 % flip about 8.3, 15.9 and 22.7 % of eight-class labels; ours flips the stated share.",
    ),
)

_REGRESSION = PublishedTable(
    source=f"{PAPER}, Figure 5",
    study="weighted_l2",
    settings=_settings("AffectNet"),
    rows={
        "AffectNet": (
            ({"regression": "plain L2"}, {"rmse_valence": "0.427", "rmse_arousal": "0.39"}),
            ({"regression": "weighted L2"}, {"rmse_valence": "0.33", "rmse_arousal": "0.30"}),
        ),
    },
    notes=(
        "Figure 5's caption names no data set; its section is about AffectNet. For the same model the paper's "
        "Table 2 prints RMSE 0.34 and 0.33, Figure 5 and Table 4 print 0.33 and 0.30.",
    ),
)

_BENCHMARK = PublishedTable(
    source=f"{PAPER}, Tables 1 and 2",
    study="ddaf_benchmark",
    settings={"AffectNet, 8 classes": replace(SETTINGS["AffectNet"], va_only=True)},
    rows={},
    peers={
        "AffectNet, 8 classes": _peers(
            "Mobile CNN             -      -      0.41 0.37 -    -",
            "AffectNet baseline     0.5800 0.5800 0.37 0.41 0.60 0.34",
            "CAAE                   -      -      0.45 0.41 0.49 0.41",
            "Wide Ensemble          0.5930 -      0.36 0.33 -    -",
            "Auxiliary Label        0.5935 -      -    -    -    -",
            "RAN                    0.5950 -      -    -    -    -",
            "SCN                    0.6023 -      -    -    -    -",
            "Pyramid super res.     0.6068 -      -    -    -    -",
            "Deep 3DMM              0.6000 0.5900 0.37 0.38 0.62 0.54",
            "Weighted Cluster       0.6070 0.6049 -    -    -    -",
            "DDAF                   0.6193 0.6193 0.34 0.33 0.66 0.55",
        ),
        "AffectNet, 8 classes, later work": _peers(
            "HSEmotion b2           0.6313 -      -    -    -    -",
            "POSTER++               0.6377 -      -    -    -    -",
            "QCS                    0.6440 -      -    -    -    -",
            "DDAMFN++               0.6504 -      -    -    -    -",
        ),
    },
    notes=(
        "The paper prints accuracies and F1 in percent with two decimals; the same digits stand here as fractions.",
        "Which labels the paper's own row (DDAF) was trained with is not printed: its macro-F1, 0.6193, stands in "
        "neither Table 3 nor Table 4, whose best is 0.6066. Its RMSE, 0.34 and 0.33, is 0.33 and 0.30 in Table 4 and "
        "Figure 5.",
        "Later work: as its authors print it, for context; not in the paper.",
        "Table 1 is scored on the 4,000 validation images of the eight classes, Table 2 on 4,500: those and 500 "
        "without an expression.",
    ),
)

TABLES = {
    "ddaf_benchmark": _BENCHMARK,
    "ddaf_table3": _NOISE,
    "ddaf_table4": _ALPHA,
    "ddaf_figure5": _REGRESSION,
}
