"""The papers' numbers: complete, plausible, and on the coordinates that our studies use."""

import pytest

from raysweep.core.scores import HIGHER_IS_BETTER
from raysweep.report.published import PUBLISHED, same_setting
from raysweep.study import find_study, list_studies


@pytest.mark.parametrize("name", PUBLISHED)
def test_rates_are_fractions_under_known_names(name):
    table = PUBLISHED[name]
    for dataset in table.datasets:
        for _, scores in table.rows[dataset]:
            assert scores.keys() <= HIGHER_IS_BETTER.keys()
            assert all(0 < float(value) < 1 for value in scores.values())


@pytest.mark.parametrize("study", [n for n in list_studies() if find_study(n)[1].published])
def test_every_arm_of_our_study_has_its_published_number(study):
    definition = find_study(study)[1]
    table = PUBLISHED[definition.published]
    for dataset in table.datasets:
        for arm in definition.arms():
            assert table.value(dataset, arm.coordinates, definition.metric) is not None


def test_text_of_the_paper_agrees_with_the_numbers():
    """Section 5.1: at 30 % noise up to 14.9 %, 0.46 % and 5.06 % better than one-hot; 0.49 % without noise."""
    table = PUBLISHED["ddaf_table3"]

    def gain(dataset, noise):
        values = {
            m: table.value(dataset, {"noise": noise, "method": m}, "macro_f1")
            for m in ("one-hot", "Euclidean", "Gaussian")
        }
        return 100 * (max(values["Euclidean"], values["Gaussian"]) - values["one-hot"])

    assert [gain(d, "0.3") for d in table.datasets] == pytest.approx([14.86, 0.46, 5.06])
    assert gain("AffectNet", "0") == pytest.approx(0.49)


def test_where_the_paper_s_tables_disagree():
    alpha, noise = PUBLISHED["ddaf_table4"], PUBLISHED["ddaf_table3"]
    one_hot = {"noise": "0", "method": "one-hot"}
    assert alpha.printed("AffectNet", {"alpha": "1"}, "macro_f1") == "0.5843"
    assert noise.printed("AffectNet", one_hot, "macro_f1") == "0.6017"
    for table in (alpha, noise):
        for number in ("0.5843", "0.6017", "0.8999", "0.9511"):
            assert number in table.notes[0]


def test_table_4_s_bold_numbers_are_its_best():
    table = PUBLISHED["ddaf_table4"]
    f1 = {level: table.value("AffectNet", {"alpha": level}, "macro_f1") for level in ("0", "0.3", "0.5", "0.7", "1")}
    assert max(f1, key=f1.get) == "0.5"
    arousal = {level: table.value("AffectNet", {"alpha": level}, "rmse_arousal") for level in f1}
    assert min(arousal, key=arousal.get) == "0.7"


def test_further_axes_and_unknown_levels():
    table = PUBLISHED["ddaf_table4"]
    assert table.value("AffectNet", {"alpha": "0.5", "epochs": "20"}, "macro_f1") == 0.6066
    assert table.value("AffectNet", {"alpha": "0.4"}, "macro_f1") is None
    assert table.value("AffectNet", {"alpha": "0.5"}, "ece") is None


def test_figure_5():
    table = PUBLISHED["ddaf_figure5"]
    values = [table.value("AffectNet", {"regression": "weighted L2"}, f"rmse_{n}") for n in ("valence", "arousal")]
    assert values == [0.33, 0.30]


def test_same_setting_needs_data_and_recipe():
    assert same_setting("AffectNet", "affectnet", "paper")
    assert not same_setting("AffectNet", "affectnet", "demo")
    assert not same_setting("AffectNet", "faces", "paper")
