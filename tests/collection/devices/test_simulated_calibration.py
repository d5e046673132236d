"""The simulated tracker is calibrated by what its eyes really did."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from collection.devices.base import Attentive, Calibratable, CalibrationOutcome
from collection.devices.faulty import Fault, FaultyDevice
from collection.devices.simulated import SimulatedEyeTracker, TrackerOptions
from collection.simulation import SimulatedParticipant
from data_schema.clocks import ScaledClock
from data_schema.errors import DeviceError
from data_schema.session.layout import GAZE, USER_POSITION

from .device_lab import SCREEN, Collector, ManualClock, person, record, wait_until

Target = tuple[float, float]
NINE: tuple[Target, ...] = tuple((x, y) for y in (0.1, 0.5, 0.9) for x in (0.1, 0.5, 0.9))
FIVE: tuple[Target, ...] = ((0.5, 0.5), (0.1, 0.1), (0.9, 0.1), (0.1, 0.9), (0.9, 0.9))
VALIDATION: tuple[Target, ...] = ((0.3, 0.3), (0.7, 0.3), (0.3, 0.7), (0.7, 0.7))
EDGES: tuple[Target, ...] = ((0.05, 0.05), (0.95, 0.05), (0.05, 0.95), (0.95, 0.95))


class Lab:
    """A running simulated tracker whose clock the test turns."""

    def __init__(
        self,
        someone: SimulatedParticipant | None = None,
        rate_hz: float = 120.0,
        faults: tuple[Fault, ...] = (),
        **options: bool,
    ) -> None:
        self.clock = ManualClock()
        someone = someone or person(loss_share=0.0, blink_rate_hz=0.0)
        self.tracker: Any = SimulatedEyeTracker(self.clock, someone, SCREEN, rate_hz, options=TrackerOptions(**options))
        if faults:
            self.tracker = FaultyDevice(self.tracker, faults, self.clock)
        self.sink = Collector()
        self.tracker.connect()
        self.tracker.start(self.sink)

    def turn(self, seconds: float) -> None:
        """Turn the clock and wait until everything up to then is delivered."""
        self.clock.advance(seconds)
        due_us = self.clock.now_us() - 60_000
        wait_until(lambda: len(self.sink.table()) > 0 and self.sink.table()["t_system_us"][-1] > due_us, "samples")

    def collect(self, target: Target) -> bool:
        """Collect at a target while the clock goes on."""
        answers: list[bool] = []
        thread = threading.Thread(target=lambda: answers.append(self.tracker.calibration_collect(*target)))
        thread.start()
        while thread.is_alive():
            self.turn(0.05)
            thread.join(0.005)
        return answers[0]

    def look(self, target: Target | None, seconds: float = 1.0) -> None:
        self.tracker.look_at(self.clock.now_us(), target)
        self.turn(seconds)

    def calibrate(self, targets: Sequence[Target], eyes: str = "both") -> CalibrationOutcome:
        self.tracker.calibration_begin(eyes)
        for target in targets:
            self.look(target)
            assert self.collect(target)
        outcome = self.tracker.calibration_compute()
        self.tracker.calibration_end()
        return outcome

    def offsets_deg(self, targets: Sequence[Target] = VALIDATION) -> dict[str, np.ndarray]:
        """Return the mean offset of each eye from each target, degrees, shape (n_targets, 2)."""
        found: dict[str, list[np.ndarray]] = {"left": [], "right": []}
        size = np.array((SCREEN.width_mm, SCREEN.height_mm))
        for target in targets:
            self.look(target, 1.5)
            gaze = self.sink.table()
            window = gaze[gaze["t_system_us"] > self.clock.now_us() - 600_000]
            for eye, offsets in found.items():
                mm = (window[f"{eye}_gaze_norm"] - 0.5) * size
                at_mm = (np.array(target) - 0.5) * size
                angle = np.degrees(np.arctan(mm / SCREEN.distance_mm)) - np.degrees(
                    np.arctan(at_mm / SCREEN.distance_mm)
                )
                offsets.append(np.nanmean(angle, axis=0))
        self.look(None, 0.1)
        return {eye: np.array(offsets) for eye, offsets in found.items()}

    def accuracy_deg(self, eye: str, targets: Sequence[Target] = VALIDATION) -> float:
        return float(np.hypot(*self.offsets_deg(targets)[eye].T).mean())


@pytest.fixture
def make(request: pytest.FixtureRequest) -> Any:
    def make(*arguments: Any, **options: Any) -> Lab:
        lab = Lab(*arguments, **options)
        request.addfinalizer(lab.tracker.close)
        return lab

    return make


def test_it_is_calibratable_and_attentive(make: Any) -> None:
    tracker = make().tracker
    assert isinstance(tracker, Calibratable)
    assert isinstance(tracker, Attentive)


def test_as_it_comes_it_is_usable_and_a_begun_calibration_makes_an_end_of_that(make: Any) -> None:
    lab = make()
    assert lab.accuracy_deg("left") < 0.7
    lab.tracker.calibration_begin("both")
    before = lab.offsets_deg()
    for eye in ("left", "right"):
        assert 1.2 < np.hypot(*before[eye].T).mean() < 3.5
    # Each eye is wrong in its own way.
    assert np.hypot(*(before["left"] - before["right"]).T).mean() > 0.3
    # A calibration that is given up leaves it so.
    lab.tracker.calibration_end()
    assert lab.accuracy_deg("left") > 1.2
    assert lab.tracker.calibration_data() == b""


def test_a_calibration_takes_the_error_away(make: Any) -> None:
    lab = make()
    outcome = lab.calibrate(NINE)
    assert (outcome.success, outcome.status) == (True, "calibration_status_success")
    for eye in ("left", "right"):
        assert lab.accuracy_deg(eye) < 0.35
        assert lab.accuracy_deg(eye, EDGES) < 0.8
    assert {sample.target_norm for sample in outcome.samples} == set(NINE)
    used = [sample for sample in outcome.samples if sample.validity == 1]
    assert len(used) > 9 * 2 * 20
    assert np.hypot(*np.subtract([s.gaze_norm for s in used], [s.target_norm for s in used]).T).mean() < 0.02


@pytest.mark.parametrize(("targets", "worse"), [(NINE[:1], "one corner"), (((0.1, 0.5), (0.9, 0.5)), "one line")])
def test_targets_that_were_not_looked_at_stay_wrong(make: Any, targets: Sequence[Target], worse: str) -> None:
    whole, part = make(), make()
    whole.calibrate(NINE)
    part.calibrate(targets)
    errors = [
        np.mean([np.hypot(*lab.offsets_deg(EDGES)[eye].T).mean() for eye in ("left", "right")]) for lab in (whole, part)
    ]
    assert errors[1] > errors[0] + 0.4, worse


def test_more_targets_do_better_over_many_participants(make: Any) -> None:
    means = []
    for targets in (((0.5, 0.5),), FIVE, NINE):
        errors = []
        for seed in range(4):
            lab = make(person(seed=seed, loss_share=0.0, blink_rate_hz=0.0), 60.0)
            lab.calibrate(targets)
            errors.append(np.mean([np.hypot(*lab.offsets_deg(EDGES)[eye].T).mean() for eye in ("left", "right")]))
        means.append(float(np.mean(errors)))
    assert means[0] > means[1] > means[2]
    assert means[2] < 0.6


@pytest.mark.parametrize("eye", ["left", "right"])
def test_a_monocular_calibration_calibrates_one_eye(make: Any, eye: str) -> None:
    other = "right" if eye == "left" else "left"
    lab = make()
    outcome = lab.calibrate(NINE, eye)
    assert outcome.status == f"calibration_status_success_{eye}_eye"
    assert {sample.validity for sample in outcome.samples if sample.eye == other} == {-1}
    assert lab.accuracy_deg(eye) < 0.35
    assert lab.accuracy_deg(other) > 1.0
    # The other eye afterwards leaves the first as it is.
    assert lab.calibrate(NINE, other).success
    assert lab.accuracy_deg(eye) < 0.35
    assert lab.accuracy_deg(other) < 0.35


def test_an_eye_that_was_calibrated_drifts_so_that_a_recheck_shows_it(make: Any) -> None:
    lab = make(person(loss_share=0.0, blink_rate_hz=0.0), 30.0)
    lab.calibrate(NINE)
    early = lab.offsets_deg()
    lab.look(None, 20 * 60.0)
    late = lab.offsets_deg()
    for eye in ("left", "right"):
        moved = np.hypot(*(late[eye] - early[eye]).mean(axis=0))
        assert 0.4 < moved < 2.5
    # A new calibration begins anew.
    assert lab.calibrate(NINE).success
    assert lab.accuracy_deg("left") < 0.35


def test_a_stored_calibration_can_be_applied_again(make: Any) -> None:
    lab = make()
    lab.calibrate(NINE)
    good = lab.tracker.calibration_data()
    lab.calibrate(NINE[:1])
    assert lab.tracker.calibration_data() != good
    lab.tracker.calibration_apply(good)
    assert lab.accuracy_deg("right") < 0.35
    assert lab.tracker.calibration_data() == good
    for wrong in (b"", b"{}", b"a tracker's own bytes", b'{"format": "emer-simulated-calibration-1", "left": [1]}'):
        with pytest.raises(DeviceError, match="none of a simulated eye tracker"):
            lab.tracker.calibration_apply(wrong)


def test_a_failure_leaves_the_old_calibration_in_use(make: Any) -> None:
    lab = make()
    lab.calibrate(NINE)
    good = lab.tracker.calibration_data()
    lab.tracker.calibration_begin("both")
    assert lab.tracker.calibration_compute() == CalibrationOutcome(False, "calibration_status_failure")
    # What is discarded does not count, and eyes that looked elsewhere give no calibration.
    lab.look(NINE[0])
    assert lab.collect(NINE[0])
    lab.tracker.calibration_discard(*NINE[0])
    assert not lab.tracker.calibration_compute().success
    for target, elsewhere in zip(NINE, NINE[4:] + NINE[:4], strict=True):
        lab.look(elsewhere)
        assert lab.collect(target)
    assert not lab.tracker.calibration_compute().success
    lab.tracker.calibration_end()
    lab.tracker.calibration_end()
    assert lab.tracker.calibration_data() == good
    assert lab.accuracy_deg("left") < 0.35


def test_shut_eyes_cannot_be_collected(make: Any) -> None:
    lab = make(person(loss_share=0.85, blink_rate_hz=0.0, subject_effect=0.0))
    lab.tracker.calibration_begin("both")
    answers = []
    for target in FIVE:
        lab.look(target)
        answers.append(lab.collect(target))
    assert not all(answers)


def test_verbs_out_of_order_are_refused_with_the_next_step(make: Any) -> None:
    lab = make()
    for call in (
        lambda: lab.tracker.calibration_collect(0.5, 0.5),
        lambda: lab.tracker.calibration_discard(0.5, 0.5),
        lab.tracker.calibration_compute,
    ):
        with pytest.raises(DeviceError, match="not in calibration mode"):
            call()
    with pytest.raises(DeviceError, match="got 'middle'"):
        lab.tracker.calibration_begin("middle")
    idle = SimulatedEyeTracker(ManualClock(), person(), SCREEN)
    with pytest.raises(DeviceError, match="before connect"):
        idle.calibration_begin("both")
    idle.connect()
    idle.calibration_begin("both")
    with pytest.raises(DeviceError, match="Start the recording first"):
        idle.calibration_collect(0.5, 0.5)
    idle.close()


def test_a_target_is_looked_at_after_a_human_latency(make: Any) -> None:
    lab = make(person(loss_share=0.0, blink_rate_hz=0.0, subject_effect=0.0), 1000.0)
    lab.look((0.2, 0.5), 2.0)
    latencies, errors = [], []
    for number in range(20):
        target = (0.8, 0.5) if number % 2 == 0 else (0.2, 0.5)
        shown_us = lab.clock.now_us()
        lab.look(target, 1.2)
        gaze = lab.sink.table()
        after = gaze[gaze["t_system_us"] >= shown_us]
        x = after["left_gaze_norm"][:, 0]
        start = x[:50].mean()
        moved = np.flatnonzero(np.abs(x - start) > 0.1 * abs(target[0] - start))
        latencies.append((after["t_system_us"][moved[0]] - shown_us) / 1e6)
        errors.append(np.abs(after["left_gaze_norm"][-400:].mean(axis=0) - target))
    assert 0.15 < np.median(latencies) < 0.27
    assert np.std(latencies) > 0.01
    assert np.mean(errors) < 0.015
    # Main sequence: the large step is a primary saccade and a correction, not one jump.
    assert np.median(latencies) > 0.1


def test_looking_at_targets_leaves_free_viewing_as_it_was_before_and_comes_back_to_it(make: Any) -> None:
    lab, plain = make(), make()
    lab.turn(3.0)
    plain.turn(3.0)
    n = len(lab.sink.table())
    assert lab.sink.table()[:n].tobytes() == plain.sink.table()[:n].tobytes()
    lab.look((0.9, 0.9), 3.0)
    on_target = lab.sink.table()[-120:]["left_gaze_norm"]
    lab.look(None, 6.0)
    free = lab.sink.table()[-360:]["left_gaze_norm"]
    assert np.nanstd(on_target) < 0.02
    assert np.nanstd(free[:, 0]) > 0.03


def test_a_target_in_the_future_is_looked_at_then(make: Any) -> None:
    lab = make()
    lab.turn(1.0)
    shown_us = lab.clock.now_us() + 2_000_000
    lab.tracker.look_at(shown_us, (0.95, 0.95))
    lab.turn(4.0)
    gaze = lab.sink.table()
    x = gaze["left_gaze_norm"][:, 0]
    assert np.nanmax(x[gaze["t_system_us"] < shown_us]) < 0.9
    assert np.nanmin(x[gaze["t_system_us"] > shown_us + 700_000]) > 0.9


def test_a_wandering_participant_misses_targets(make: Any) -> None:
    calm, restless = make(), make(wandering=True)
    spread = []
    for lab in (calm, restless):
        lab.look((0.5, 0.5), 10.0)
        spread.append(float(np.nanstd(lab.sink.table()[-1000:]["left_gaze_norm"])))
    assert spread[1] > 3 * spread[0]


def test_an_uncalibrated_tracker_is_wrong_from_the_start(make: Any) -> None:
    lab = make(uncalibrated=True)
    assert lab.accuracy_deg("left") > 1.2
    assert lab.tracker.describe().details["options"] == ["uncalibrated"]


def test_a_participant_who_sits_badly_comes_to_the_middle(make: Any) -> None:
    lab = make(offcentre=True)
    lab.turn(60.0)
    position = lab.sink.table(USER_POSITION.path)["left_position_norm"]
    right = lab.sink.table(USER_POSITION.path)["right_position_norm"]
    centre = (position + right) / 2
    assert np.abs(centre[5] - 0.5).max() > 0.15
    assert np.abs(centre[-1] - 0.5).max() < 0.1
    # Farther from the screen is larger on the third axis.
    assert centre[5, 2] > centre[-1, 2] + 0.3
    gaze = lab.sink.table()
    assert gaze["left_origin_user_mm"][10, 2] - gaze["left_origin_user_mm"][-1, 2] > 80


# ---------------------------------------------------------------- told to misbehave


def test_targets_that_cannot_be_collected(make: Any) -> None:
    lab = make(faults=(Fault("collect_fails", 0.0, 5.0),))
    lab.tracker.calibration_begin("both")
    lab.look(NINE[0])
    assert not lab.collect(NINE[0])
    lab.turn(5.0)
    assert not lab.tracker.calibration_compute().success
    assert lab.collect(NINE[0])
    assert lab.tracker.calibration_compute().success


def test_a_calibration_that_fails_and_later_does_not(make: Any) -> None:
    lab = make(faults=(Fault("calibration_fails", 0.0, 30.0),))
    outcome = lab.calibrate(NINE)
    assert outcome == CalibrationOutcome(False, "calibration_status_failure")
    assert lab.accuracy_deg("left") > 1.2
    lab.turn(30.0)
    assert lab.calibrate(NINE).success
    assert lab.accuracy_deg("left") < 0.35


def test_a_bad_calibration_is_bad_until_the_next(make: Any) -> None:
    lab = make(faults=(Fault("bad_calibration", 0.0, 40.0),))
    assert lab.accuracy_deg("left") < 0.7
    assert lab.calibrate(NINE).success
    lab.turn(40.0)
    assert lab.accuracy_deg("left") > 2.0
    assert lab.calibrate(NINE).success
    assert lab.accuracy_deg("left") < 0.35


def test_a_lost_eye_is_lost_to_the_calibration_too(make: Any) -> None:
    lab = make(faults=(Fault("one_eye"),))
    outcome = lab.calibrate(FIVE)
    assert outcome.status == "calibration_status_success_left_eye"
    assert {sample.validity for sample in outcome.samples if sample.eye == "right"} == {-1}
    assert not lab.calibrate(FIVE, "right").success


def test_a_participant_told_to_wander_does_not_look_at_targets(make: Any) -> None:
    lab = make(faults=(Fault("wandering", 0.0, 3.0),))
    lab.look((0.95, 0.95), 2.0)
    assert np.nanmean(lab.sink.table()[-60:]["left_gaze_norm"]) < 0.85
    lab.turn(2.0)
    lab.look((0.95, 0.95), 2.0)
    assert np.nanmean(lab.sink.table()[-60:]["left_gaze_norm"]) > 0.9


def test_a_cable_that_is_out_ends_the_calibration(make: Any) -> None:
    lab = make(faults=(Fault("disconnect", 2.0, 3.0),))
    lab.tracker.calibration_begin("both")
    lab.look(NINE[0])
    assert lab.collect(NINE[0])
    lab.clock.advance(1.5)
    with pytest.raises(DeviceError, match="has left its calibration mode"):
        lab.tracker.calibration_collect(*NINE[1])
    lab.turn(4.0)
    with pytest.raises(DeviceError, match="not in calibration mode"):
        lab.tracker.calibration_compute()
    assert lab.calibrate(NINE).success


def test_collecting_works_in_a_rehearsal_that_runs_fast() -> None:
    clock = ScaledClock.starting_now(30.0)
    tracker = SimulatedEyeTracker(clock, person(loss_share=0.0, blink_rate_hz=0.0), SCREEN, 120.0)
    sink = Collector()
    tracker.connect()
    tracker.start(sink)
    tracker.calibration_begin("both")
    for target in FIVE:
        tracker.look_at(clock.now_us(), target)
        clock.sleep_until(clock.now_us() + 1_500_000)
        assert tracker.calibration_collect(*target)
    assert tracker.calibration_compute().success
    tracker.close()
    assert len(sink.table()) > 0


def test_the_display_area_is_the_screen_and_can_be_set(make: Any) -> None:
    tracker = make().tracker
    area = tracker.display_area()
    assert area["top_right"][0] - area["top_left"][0] == SCREEN.width_mm
    assert area["top_left"][1] - area["bottom_left"][1] == SCREEN.height_mm
    moved = {name: [x, y, 5.0] for name, (x, y, _) in area.items()}
    tracker.set_display_area(moved)
    assert tracker.display_area() == moved
    with pytest.raises(DeviceError, match="three numbers"):
        tracker.set_display_area({"top_left": [0.0, 0.0]})


def test_without_a_calibration_trials_are_what_they_were() -> None:
    """Statistics of unattended recordings stand in docs and tests: the tracker as it comes has not changed."""
    clock = ManualClock()
    tracker = SimulatedEyeTracker(clock, person(), SCREEN, 60.0)
    gaze = record(tracker, clock, 3.0).table(GAZE.path)
    tracker.close()
    apart = np.nanmean(gaze["left_gaze_norm"] - gaze["right_gaze_norm"], axis=0) * (SCREEN.width_mm, SCREEN.height_mm)
    assert np.degrees(np.hypot(*apart) / SCREEN.distance_mm) < 0.7
