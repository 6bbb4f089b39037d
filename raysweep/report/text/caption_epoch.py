"""Sentences on which images and which score chose the epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raysweep.artifacts.study_record import StudyRecord
from raysweep.config.methods import method_of
from raysweep.metrics.registry import needing
from raysweep.report.formatting import listed, title

OLD_METRIC = "macro_f1"
"""The score that chose the epoch in older runs, which do not record it."""


def epoch_choice(study: StudyRecord, configs: Sequence[Mapping[str, str]]) -> list[str]:
    """The score and images by which the epoch was chosen; empty if none is chosen."""
    chosen = [config for config in configs if config.get("selection.weights") == "best"]
    if study.protocol == "last" or not chosen:
        return []
    on_test = study.protocol == "best_on_test"
    metrics = list(dict.fromkeys(config.get("selection.metric", OLD_METRIC) for config in chosen))
    by = listed([title(metric) for metric in metrics], "or")
    text = f"The epoch is chosen by {by} on {'test' if on_test else 'validation'} images, the first of equal ones"
    if set(metrics) & set(needing("va")):
        text += "; in trainings that do not regress valence and arousal, by macro-F1"
    if study.metric in needing("labels"):
        text += f" ({title(study.metric)} is a score of labels, which no epoch has)"
    return [f"{text}.", *_whose_images(chosen, on_test)]


def _whose_images(chosen: Sequence[Mapping[str, str]], on_test: bool) -> list[str]:
    """Exceptions: trainings whose epoch is chosen by images of another set, or by other rules."""
    images = "test" if on_test else "validation"
    tuned = [config for config in chosen if config.get("joint.finetune", "none") != "none"]
    sentences = []
    if any(not method_of(config).on_target for config in chosen):
        sentences.append(
            f"Arms trained on extra data alone choose their epoch by the {images} images and labels of the target A."
        )
    if tuned:
        sentences.append(
            f"Before fine-tuning the epoch is chosen by {images} images of A (data.source), in fine-tuning by those of "
            "the set that is fine-tuned on."
        )
    if any(_has_helpers(config) for config in chosen):
        sentences.append(
            "M_A and M_B take their last epoch, so that no test label shapes what is trained on."
            if on_test
            else "The epochs of M_A and M_B, too, are chosen by validation images of A."
        )
    return sentences


def _has_helpers(config: Mapping[str, str]) -> bool:
    """Whether a configuration trains an M_A or an M_B first."""
    adapts = config.get("joint.mapping", "none") != "none" or config.get("joint.relabel") == "true"
    part = config.get("joint.extra_part")
    return method_of(config).adapts and (
        config.get("joint.pseudo_va") in ("all", "subset") or part == "subset" or (part == "all" and adapts)
    )
