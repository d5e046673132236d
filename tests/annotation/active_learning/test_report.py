from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from annotation.active_learning.report import AlaReport, Estimate, ala_report
from tests.annotation.active_learning.planted_guesses import MODEL, planted


def holds(estimate: Estimate, value: float) -> bool:
    assert estimate.low is not None and estimate.high is not None
    return estimate.low <= value <= estimate.high


def test_an_anchor_that_was_planted_is_found_with_its_size() -> None:
    guesses, labels = planted(pull=0.5, n_clips=800)
    report = ala_report(guesses, labels, "fer", n_bootstrap=400)
    # Alone: agreement is right*model + chance of being wrong alike; pulled: 1. The pull closes half the gap.
    alone = report.agreement_control.value
    assert alone is not None
    assert holds(report.anchoring, 0.5 * (1 - alone))
    assert report.anchoring.low is not None and report.anchoring.low > 0
    assert holds(report.accepted, 0.5)
    assert report.anchoring_wrong.value is not None and report.anchoring_wrong.value > report.anchoring.value
    assert report.valence_pull.low is not None and report.valence_pull.low > 0
    assert report.models == [MODEL]
    assert report.n_shown + report.n_control == len(labels)


def test_without_a_pull_intervals_hold_zero_as_often_as_they_say() -> None:
    held = 0
    for seed in range(24):
        guesses, labels = planted(pull=0.0, n_clips=100, seed=seed)
        held += holds(ala_report(guesses, labels, "fer", n_bootstrap=100, level=0.9).anchoring, 0.0)
    assert held >= 18, "P(X <= 17) is 0.8 % for 24 draws of 0.9"


def test_annotators_are_compared_with_themselves() -> None:
    """Who agrees little and judges blind often must not look like an anchor; pooled, they do."""
    guesses, labels = planted(
        pull=0.0, n_clips=800, own_right={"a01": 0.95, "a02": 0.2}, control_of={"a01": 0.1, "a02": 0.8}
    )
    report = ala_report(guesses, labels, "fer", n_bootstrap=200)
    pooled = report.agreement_shown.value - report.agreement_control.value  # type: ignore[operator]
    assert pooled > 0.2
    assert holds(report.anchoring, 0.0)
    assert abs(report.anchoring.value or 0.0) < 0.07


def test_labour_saved_is_the_ratio_of_medians_with_and_without_a_guess() -> None:
    guesses, labels = planted(pull=0.6, seconds=(6.0, 12.0), n_clips=600)
    report = ala_report(guesses, labels, "fer", n_bootstrap=200)
    assert holds(report.time_saved, 0.5)
    assert report.hours_saved == pytest.approx(report.n_shown * 6.0 / 3600, rel=0.15)


def test_what_was_taken_back_or_judged_again_counts_once_by_its_last_state() -> None:
    guesses, labels = planted(pull=0.5, n_clips=60, annotators=("a01",))
    before = ala_report(guesses, labels, "fer", n_bootstrap=100)
    first = labels.iloc[0]
    undo = first.to_dict() | {
        "row_id": "f" * 32, "supersedes": first["row_id"], "action": "undo", "emotion": None, "valence": np.nan,
        "created_utc": "2026-01-02T00:00:00.000000Z",
    }  # fmt: skip
    taken_back = ala_report(guesses, pd.concat([labels, pd.DataFrame([undo])]), "fer", n_bootstrap=100)
    assert taken_back.n_shown + taken_back.n_control == before.n_shown + before.n_control - 1
    again = guesses.iloc[0].to_dict() | {
        "row_id": "e" * 32,
        "outcome": "changed",
        "created_utc": "2026-01-03T00:00:00.000000Z",
    }
    twice = ala_report(pd.concat([guesses, pd.DataFrame([again])]), labels, "fer", n_bootstrap=100)
    assert twice.n_shown + twice.n_control == before.n_shown + before.n_control


def test_the_order_of_files_changes_no_digit() -> None:
    guesses, labels = planted(pull=0.3, n_clips=80)
    a = ala_report(guesses, labels, "fer", n_bootstrap=100, seed=3)
    b = ala_report(
        guesses.sample(frac=1, random_state=1), labels.sample(frac=1, random_state=2), "fer", n_bootstrap=100, seed=3
    )
    assert json.dumps(a.as_json()) == json.dumps(b.as_json())


def test_a_label_of_ones_own_does_not_contradict_a_guess() -> None:
    guesses, labels = planted(annotators=("a01",), n_clips=50)
    assert ala_report(guesses, labels, "fer", n_bootstrap=100).anchoring_wrong.n == 0


def test_too_few_blind_clips_are_no_estimate() -> None:
    guesses, labels = planted(n_clips=30, annotators=("a01",), control_share=0.02)
    report = ala_report(guesses, labels, "fer", n_bootstrap=100)
    assert report.n_control < 10
    assert (report.anchoring.value, report.time_saved.value) == (None, None)
    json.dumps(report.as_json(), allow_nan=False)


def test_nothing_at_all_is_a_report_of_nothing() -> None:
    guesses, labels = planted(n_clips=5)
    report = ala_report(guesses[:0], labels, "fer", n_bootstrap=100)
    assert isinstance(report, AlaReport)
    assert (report.n_shown, report.accepted.value, report.per_annotator) == (0, None, [])
