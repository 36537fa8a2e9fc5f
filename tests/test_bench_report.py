"""The README's numbers are those of the committed results: making its section anew gives the same text."""

import math

import pytest

import report
import results
import tables
import targets


def test_the_readme_shows_what_was_measured():
    assert report.readme(report.shown()) == report.README.read_text(encoding="utf-8")


def test_the_docs_begin_where_the_readme_does():
    page = report.README.parent.joinpath("docs", "performance.md").read_text(encoding="utf-8")
    assert f"<!-- bench: {' '.join(report.shown())} -->" in page


@pytest.mark.parametrize("name", report.shown())
def test_the_page_of_all_rows_shows_what_was_measured(name):
    assert report.page(name) == (results.RESULTS / f"{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", report.shown())
def test_every_ratio_is_a_positive_number(name):
    for row in results.load(name)["rows"]:
        for mine in results.ours(row):
            for statistic in ("min", "median"):
                value = results.ratio(row, mine, statistic)
                assert math.isfinite(value) and value > 0, row


def row(**measured):
    return {
        "group": "dense",
        "name": "a",
        "measured": {who: {"min": t, "median": 2 * t} for who, t in measured.items()},
    }


def test_a_ratio_takes_the_best_of_the_peers_modes():
    assert results.ratio(row(fastconv=2.0, one=8.0, two=6.0)) == 3.0
    assert results.ratio(row(fastconv=2.0, one=8.0, two=6.0), prefix="one") == 4.0


def test_a_disturbed_row_counts_for_no_target():
    content = {"rows": [row(fastconv=1.0, peer=4.0) | {"others_cpus": 0.5}], "ceilings": {"gflops": 1.0, "beyond": 1.0}}
    assert "| dense, least | 1.00 |  |  |  |  |" in tables.promises(content)
    content["rows"][0]["others_cpus"] = 0.0
    assert "| dense, least | 1.00 | 4.00 | 4.00 | yes | a |" in tables.promises(content)


def test_targets_combine_rows():
    rows = [row(fastconv=1.0, peer=4.0), row(fastconv=1.0, peer=1.0)]
    assert targets.geometric_mean([4.0, 1.0]) == pytest.approx(2.0)
    least = next(t for t in targets.targets({"gflops": 1.0, "beyond": 1.0}) if t.text == "dense, least")
    assert least.reached(rows) == 1.0 and least.reached([]) is None


def test_a_share_is_of_what_the_machine_reached_in_the_same_turns():
    strict = "strict large 3x3 and 1x1, least share of the FMA peak"
    measured = row(**{"fastconv": 1.0, "fastconv strict": 2.0, "peer": 4.0})
    facts = {"group": "convolution", "stride": 1, "window": 1, "channels": (64, 64), "flops": 4e9}
    share = next(t for t in targets.targets({"gflops": 8.0, "beyond": 1.0}) if t.text == strict)
    assert share.reached([measured | facts]) == 2 / 8
    own = {"ceiling": {"amount": 8e9, "min": 2.0, "median": 1.0}}
    assert share.reached([measured | facts | own]) == 2 / 4
    assert share.reached([measured | facts | own], "median") == 1 / 8
