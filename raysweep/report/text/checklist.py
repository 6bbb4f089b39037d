"""`STUDY_checklist.md`: answers to those questions of NeurIPS's paper checklist that follow from a study's records.

docs/checklist.md says what is answered and how. An answer is Yes only where the records show it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from raysweep.artifacts.study_record import DataRecord, ExtraRecord
from raysweep.report.formatting import listed, plural, title
from raysweep.report.results.aggregate import Summary
from raysweep.report.results.provenance import Provenance
from raysweep.report.results.records import Results
from raysweep.report.results.statistics import simultaneous

from .caption import PROTOCOLS, configs, incomplete_words, replicate_range
from .overrides import override_words
from .provenance import hours_sentence, provenance_words

LICENCES = {
    "faces": "drawn by raysweep itself, under its licence (Apache-2.0); no person is shown",
    "affectnet": "non-commercial research, after an agreement with its authors; images must not be passed on",
    "affwild": "non-commercial research, after an agreement with its authors; images must not be passed on",
    "rafdb": "non-commercial research, on request from its authors; images must not be passed on",
    "caers": "non-commercial research, on request from its authors; images must not be passed on",
    "fer2013": "no clear licence: photographs from the web, distributed for a competition",
    "ferplus": "the votes are under the MIT licence; the photographs are FER2013's, without a clear licence",
}
"""Terms of a kind of data set, as far as raysweep knows them: a report says so and claims no more."""


@dataclass(frozen=True)
class ChecklistItem:
    """A question of the checklist by its number, the answer, and sentences that justify it."""

    number: int
    question: str
    answer: str
    sentences: Sequence[str]


def checklist(results: Results, summary: Summary, made: Provenance, commands: Sequence[str]) -> list[ChecklistItem]:
    """The questions in the checklist's order."""
    return [
        _reproducible(results, made, commands),
        _settings(summary),
        _significance(summary),
        _compute(made),
        _licences(results.study.data),
    ]


def _reproducible(results: Results, made: Provenance, commands: Sequence[str]) -> ChecklistItem:
    origins = dict(provenance_words(results, made))
    seeds = sorted({name for cell in results.cells for name in cell.seeds})
    numbers = listed([str(number) for number in results.study.replicates])
    seeded = f"Replicates {numbers}; each sets the seeds {listed(seeds)}." if seeds else "The seeds are not recorded."
    clean = bool(made.code) and made.dirty == 0 and all("+" in version for version in made.code)
    lacking = "" if clean else " No commit identifies all of the code: commit it and run the study again for a Yes."
    sentences = [
        f"Code: {origins['Code']}{lacking}",
        f"Data: {origins['Data']}",
        f"Libraries: {origins['Libraries']}",
        f"{seeded} Arms of a replicate share split, flipped labels, initial weights and order of batches.",
        f"Commands: {'; '.join(f'`{command}`' for command in commands)}.",
    ]
    return ChecklistItem(4, "Experimental result reproducibility", "Yes" if clean and seeds else "Partly", sentences)


def _settings(summary: Summary) -> ChecklistItem:
    study = summary.study
    fields = len({path for config in configs(summary) for path in config})
    return ChecklistItem(
        6,
        "Experimental setting and details",
        "Partly" if study.protocol == "best_on_test" else "Yes",
        [
            f"Selection: {PROTOCOLS.get(study.protocol, study.protocol)}.",
            *override_words(study),
            f"All {plural(fields, 'field')} of the configuration are parameters of every run in MLflow; the recipe and "
            "what each arm changes are in the results file.",
        ],
    )


def _significance(summary: Summary) -> ChecklistItem:
    study = summary.study
    several = all(arm.complete > 1 for arm in summary.arms)
    sentences = [
        f"Error bars: ± is one standard deviation over {replicate_range(summary)} (n - 1 in the denominator). "
        "A replicate changes the split of the training images, label noise, initial weights and order of batches; test "
        "images are the same in all of them.",
        "Intervals of means are 95 % t-intervals and assume normal differences.",
    ]
    if study.reference:
        sentences.append(
            f"Differences in {title(study.metric)} are paired by replicate, with {simultaneous(summary.family)}; "
            "p-values are two-sided paired t-tests, adjusted alike."
        )
    if summary.incomplete:
        sentences.append(f"Not all cells are complete: {incomplete_words(summary)}.")
    if not several:
        sentences.append("An arm has fewer than two complete cells: run more replicates for error bars.")
    return ChecklistItem(7, "Experiment statistical significance", "Yes" if several else "No", sentences)


def _compute(made: Provenance) -> ChecklistItem:
    names = [name for name in made.devices if name]
    counted = f"Device-hours: {hours_sentence(made)}" if made.hours else "Device-hours are not recorded."
    sentences = [f"Devices: {listed(names) if names else 'not recorded'}.", counted]
    lost = [kind for kind in made.hours if kind not in ("complete cells", "trainings that cells share")]
    failed = f"Of these, not in the table: {listed(lost)}." if lost else "No failed cell and no search trial took time."
    sentences.append(f"{failed} Preliminary runs of other studies are not counted here: their own reports have them.")
    answer = "Yes" if made.hours and names and not made.untimed else "Partly"
    return ChecklistItem(8, "Experiments compute resources", answer, sentences)


def _licences(data: DataRecord) -> ChecklistItem:
    sets: list[DataRecord | ExtraRecord] = [data, *data.extras]
    known = [LICENCES.get(one.kind or "") for one in sets]
    sentences = [f"{one.name}: {_terms(one.kind or '', terms)}." for one, terms in zip(sets, known, strict=True)]
    sentences.append("Initial weights, where they were downloaded, have a licence of their own: state it.")
    own = all(one.kind == "faces" for one in sets)
    return ChecklistItem(12, "Licenses for existing assets", "Yes" if own else "To be stated", sentences)


def _terms(kind: str, terms: str | None) -> str:
    if terms is None:
        return "its licence is not known to raysweep; state it"
    return terms if kind == "faces" else f"{terms} (check it against the terms that came with your copy)"
