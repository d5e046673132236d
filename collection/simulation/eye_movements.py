"""Gaze, lids and pupil of a simulated participant as functions of time.

Events (fixations, saccades, blinks, losses) are planned one after the other
from seeded generators; samples are then read off the plan for any instants,
in whole arrays. Values depend on time alone, not on how the time was cut into
chunks. White noise is drawn in the order of samples, which keeps that property.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from collection.devices.base import PlantedReaction
from collection.simulation.participant import EyeBehaviour, SimulatedParticipant

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

#: Saccade duration: 21 ms plus 2.2 ms a degree. Carpenter (1988), "Movements of
#: the Eyes", p. 71, for the main sequence of Bahill, Clark and Stark (1975), Math. Biosci. 24.
SACCADE_BASE_S = 0.021
SACCADE_S_PER_DEG = 0.0022

#: Pupil kernel h(t) = t^n exp(-n t / t_max): Hoeks and Levelt (1993), Behav. Res.
#: Methods 25, with their n = 10.1 and t_max = 0.93 s.
PUPIL_N = 10.1
PUPIL_T_MAX_S = 0.93
#: Nothing happens before that; Bradley et al. (2008) and others report 0.2 to 0.5 s.
PUPIL_LATENCY_S = 0.25

#: The tracker loses an eye whose lid hides more than this share. Ours: on a
#: Spectrum, gaze goes before openness does.
CLOSURE_LOST = 0.6

#: A human needs this long to start a saccade to a target that has just appeared: about 200 ms, with
#: a spread of a few tens (Carpenter 1988, "Movements of the Eyes", ch. 3). The log spread is ours.
LOOK_LATENCY_S = 0.20
_LOOK_LATENCY_SPREAD = 0.15
#: Primary saccades fall short by about a tenth of their amplitude and are corrected after a further
#: 100 to 200 ms (Becker 1991, in "Eye Movements", ed. Carpenter, ch. 5).
_UNDERSHOOT = 0.08
_CORRECTION_S = 0.14
#: Where an eye lands around the point it looks at, degrees; fixation at a target scatters by some
#: tenths of a degree. Ours.
_LANDING_SD_DEG = 0.15
_REFIXATION_S = 0.6
#: A participant who wanders looks this far away, for about this long.
_WANDER_DEG = 6.0
_WANDER_S = 0.4
#: Length of the plan that is kept behind the newest sample, seconds.
_MEMORY_S = 1.0
_MIN_FIXATION_S = 0.08


@dataclass(frozen=True)
class EyeState:
    """Both eyes at n instants, before the tracker's geometry and noise.

    Parameters
    ----------
    gaze_deg : ndarray of float64, shape (n, 2)
        Gaze from the screen's centre, right and down, degrees.
    pupil_mm : ndarray of float64, shape (n,)
        True pupil diameter.
    closure : ndarray of float64, shape (n,)
        0 open to 1 closed.
    lost : ndarray of bool, shape (n, 2)
        True where the tracker sees nothing of the left, right eye.
    """

    gaze_deg: FloatArray
    pupil_mm: FloatArray
    closure: FloatArray
    lost: BoolArray


@dataclass(frozen=True)
class _Movement:
    """A saccade and the fixation after it."""

    start_s: float
    landing_s: float
    end_s: float
    from_deg: tuple[float, float]
    to_deg: tuple[float, float]


def _pupil_step_table(step_s: float = 0.002, length_s: float = 6.0) -> tuple[FloatArray, FloatArray]:
    """Return the pupil's response to a lasting unit input: the kernel's integral."""
    t = np.arange(0.0, length_s, step_s)
    kernel = t**PUPIL_N * np.exp(-PUPIL_N * t / PUPIL_T_MAX_S)
    response = np.cumsum(kernel)
    return t + PUPIL_LATENCY_S, response / response[-1]


_STEP_T_S, _STEP_RESPONSE = _pupil_step_table()


def minimum_jerk(share: FloatArray) -> FloatArray:
    """Return the covered share of a movement at a share of its duration (Flash and Hogan 1985)."""
    return share**3 * (10.0 - 15.0 * share + 6.0 * share**2)


def saccade_duration_s(amplitude_deg: float) -> float:
    """Return the duration of a saccade on the main sequence."""
    return SACCADE_BASE_S + SACCADE_S_PER_DEG * amplitude_deg


class EyeMovements:
    """The eyes of one participant from the start of a recording on.

    Time is seconds since that start; it may be asked for in growing order only.

    Parameters
    ----------
    participant : SimulatedParticipant
        Whose eyes.
    run : int
        Number of the start, so that a restarted device does not repeat itself.
    half_screen_deg : tuple of float
        Half width and half height of the screen; gaze seldom leaves it.
    inattention : float
        Share of the fixations at a target in which the participant looks elsewhere, 0 to 1.
    """

    def __init__(
        self,
        participant: SimulatedParticipant,
        run: int = 0,
        half_screen_deg: tuple[float, float] = (22.0, 12.9),
        inattention: float = 0.0,
    ) -> None:
        self._participant = participant
        self._limit = half_screen_deg
        self._fixation_rng = participant.rng("fixations", run)
        self._blink_rng = participant.rng("blinks", run)
        self._loss_rng = participant.rng("losses", run)
        wander = participant.rng("wander", run)
        self._wander_phase = wander.uniform(0, 2 * np.pi, (3, 2))
        self._hippus_phase = wander.uniform(0, 2 * np.pi, 3)
        rest = PlantedReaction.rest(0)
        self._reactions: deque[tuple[float, EyeBehaviour]] = deque([(-np.inf, participant.eye_behaviour(rest))])
        bias = participant.traits.gaze_bias_deg
        first = _Movement(-1.0, -0.97, float(self._fixation_rng.uniform(0.05, 0.3)), bias, bias)
        self._movements: deque[_Movement] = deque([first])
        self._blinks: deque[tuple[float, float]] = deque()
        self._losses: deque[tuple[float, float, int]] = deque()
        self._blink_budget = float(self._blink_rng.exponential())
        self._loss_budget = float(self._loss_rng.exponential())
        # A generator of its own, so that looking at targets leaves free viewing as it was.
        self._look_rng = participant.rng("looks", run)
        self._inattention = inattention
        self._looks: list[tuple[float, int, tuple[float, float] | None]] = []
        self._n_looks = 0
        self._sampled_s = -1.0

    def look_at(self, at_s: float, target_deg: tuple[float, float] | None) -> None:
        """Look at a target that appears at `at_s`, after a human latency; None views freely again.

        What has been sampled already stays; an order that comes late is carried out at once.
        """
        latency_s = LOOK_LATENCY_S * float(np.exp(_LOOK_LATENCY_SPREAD * self._look_rng.standard_normal()))
        due_s = max(at_s + latency_s, self._sampled_s)
        self._n_looks += 1
        insort(self._looks, (due_s, self._n_looks, target_deg), key=lambda look: look[:2])
        last = self._movements[-1]
        if due_s < last.end_s:
            # The fixation that goes on is cut short; a saccade in flight is finished first.
            self._movements[-1] = replace(last, end_s=max(due_s, last.landing_s, self._sampled_s))

    def react(self, at_s: float, behaviour: EyeBehaviour) -> None:
        """Behave otherwise from `at_s` on; reactions are given in order of time."""
        self._reactions.append((max(at_s, self._reactions[-1][0]), behaviour))

    def sample(self, t_s: FloatArray) -> EyeState:
        """Return the eyes at `t_s`, shape (n,), seconds, increasing."""
        last_s = float(t_s[-1])
        while self._movements[-1].end_s <= last_s:
            self._plan_next()
        self._sampled_s = last_s
        state = EyeState(self._gaze(t_s), self._pupil(t_s), self._closure(t_s), self._lost(t_s))
        self._forget(last_s - _MEMORY_S)
        return state

    # -- the plan -----------------------------------------------------------------

    def _behaviour_at(self, t_s: float) -> EyeBehaviour:
        chosen = self._reactions[0][1]
        for since_s, behaviour in self._reactions:
            if since_s > t_s:
                break
            chosen = behaviour
        return chosen

    def _plan_next(self) -> None:
        """Add one saccade with its fixation, and the blinks and losses that fall into them."""
        last = self._movements[-1]
        start_s = last.end_s
        behaviour = self._behaviour_at(start_s)
        target, next_due_s = self._look_of(start_s)
        if target is not None:
            movement = self._movement_to(last, target)
        else:
            movement = self._free_movement(last, behaviour)
        # The next target interrupts a fixation, never a saccade.
        end_s = max(movement.landing_s, min(movement.end_s, next_due_s))
        self._movements.append(replace(movement, end_s=end_s))
        self._plan_blinks(start_s, end_s, behaviour.blink_rate_hz)
        self._plan_losses(start_s, end_s)

    def _look_of(self, t_s: float) -> tuple[tuple[float, float] | None, float]:
        """Return the target that is looked at from `t_s` on, and when that changes."""
        target: tuple[float, float] | None = None
        for due_s, _, wanted in self._looks:
            if due_s > t_s:
                return target, due_s
            target = wanted
        return target, np.inf

    def _movement_to(self, last: _Movement, target: tuple[float, float]) -> _Movement:
        """Plan a saccade to a target, or a small one around it, or a lapse of attention."""
        rng = self._look_rng
        z = rng.standard_normal(4)
        wanders = bool(rng.random() < self._inattention)
        away = np.subtract(target, last.to_deg)
        distance = float(np.hypot(*away))
        landing = np.asarray(target, dtype=np.float64) + _LANDING_SD_DEG * z[:2]
        stay_s = _REFIXATION_S * float(np.exp(0.3 * z[2]))
        if wanders:
            landing = landing + _WANDER_DEG * z[:2] / max(float(np.hypot(*z[:2])), 0.1)
            stay_s = _WANDER_S * float(np.exp(0.3 * z[2]))
        elif distance > 2.0:
            landing = landing - _UNDERSHOOT * abs(1.0 + 0.5 * z[3]) * away
            stay_s = _CORRECTION_S
        to = (float(landing[0]), float(landing[1]))
        landing_s = last.end_s + saccade_duration_s(float(np.hypot(to[0] - last.to_deg[0], to[1] - last.to_deg[1])))
        return _Movement(last.end_s, landing_s, landing_s + stay_s, last.to_deg, to)

    def _free_movement(self, last: _Movement, behaviour: EyeBehaviour) -> _Movement:
        """Plan a saccade of free viewing with its fixation."""
        start_s = last.end_s
        rng = self._fixation_rng
        bias_x, bias_y = self._participant.traits.gaze_bias_deg
        z = rng.standard_normal(5)
        aim_x = bias_x + behaviour.dispersion_deg * z[0]
        aim_y = bias_y + behaviour.vertical_bias_deg + 0.6 * behaviour.dispersion_deg * z[1]
        away_x, away_y = aim_x - last.to_deg[0], aim_y - last.to_deg[1]
        distance = max(float(np.hypot(away_x, away_y)), 0.3)
        # Half way between where it wants to look and how far this eye likes to jump.
        amplitude = float(np.sqrt(distance * behaviour.saccade_deg * np.exp(0.25 * z[2])))
        amplitude = float(np.clip(amplitude, 0.5, 25.0))
        to_x = float(np.clip(last.to_deg[0] + away_x / distance * amplitude, -self._limit[0], self._limit[0]))
        to_y = float(np.clip(last.to_deg[1] + away_y / distance * amplitude, -self._limit[1], self._limit[1]))
        covered = float(np.hypot(to_x - last.to_deg[0], to_y - last.to_deg[1]))
        landing_s = start_s + saccade_duration_s(covered)
        end_s = landing_s + max(_MIN_FIXATION_S, behaviour.fixation_s * float(np.exp(0.35 * z[3])))
        return _Movement(start_s, landing_s, end_s, last.to_deg, (to_x, to_y))

    def _plan_blinks(self, start_s: float, end_s: float, rate_hz: float) -> None:
        """Blink when the accumulated rate has used up a budget drawn from the unit exponential."""
        at_s = start_s
        while rate_hz > 0 and self._blink_budget <= rate_hz * (end_s - at_s):
            at_s += self._blink_budget / rate_hz
            duration_s = float(np.clip(0.22 * np.exp(0.25 * self._blink_rng.standard_normal()), 0.1, 0.5))
            begin_s = max(at_s, self._blinks[-1][1] + 0.05) if self._blinks else at_s
            self._blinks.append((begin_s, begin_s + duration_s))
            self._blink_budget = float(self._blink_rng.exponential())
        self._blink_budget -= rate_hz * (end_s - at_s)

    def _plan_losses(self, start_s: float, end_s: float) -> None:
        mean_s = 0.15
        rate_hz = self._participant.traits.loss_share / mean_s
        at_s = start_s
        while rate_hz > 0 and self._loss_budget <= rate_hz * (end_s - at_s):
            at_s += self._loss_budget / rate_hz
            duration_s = float(self._loss_rng.exponential(mean_s))
            chance = float(self._loss_rng.random())
            which = 3 if chance < 0.6 else 1 if chance < 0.8 else 2
            self._losses.append((at_s, at_s + duration_s, which))
            self._loss_budget = float(self._loss_rng.exponential())
        self._loss_budget -= rate_hz * (end_s - at_s)

    def _forget(self, before_s: float) -> None:
        while len(self._movements) > 1 and self._movements[0].end_s < before_s:
            self._movements.popleft()
        while len(self._blinks) > 1 and self._blinks[0][1] < before_s:
            self._blinks.popleft()
        while self._losses and self._losses[0][1] < before_s:
            self._losses.popleft()
        while len(self._looks) > 1 and self._looks[1][0] < before_s:
            self._looks.pop(0)
        # A reaction shapes the pupil for some seconds after the next one begins.
        settled_s = before_s - _STEP_T_S[-1]
        while len(self._reactions) > 1 and self._reactions[1][0] < settled_s:
            self._reactions.popleft()

    # -- reading the plan off --------------------------------------------------------

    def _gaze(self, t_s: FloatArray) -> FloatArray:
        starts = np.array([m.start_s for m in self._movements])
        durations = np.array([m.landing_s - m.start_s for m in self._movements])
        origin = np.array([m.from_deg for m in self._movements])
        target = np.array([m.to_deg for m in self._movements])
        k = np.maximum(np.searchsorted(starts, t_s, side="right") - 1, 0)
        covered = minimum_jerk(np.clip((t_s - starts[k]) / durations[k], 0.0, 1.0))[:, None]
        gaze: FloatArray = origin[k] + covered * (target[k] - origin[k])
        # Slow wander of fixation, about a tenth of a degree; frequencies are ours.
        for hertz, size, phase in zip((0.9, 2.3, 4.1), (0.05, 0.03, 0.015), self._wander_phase, strict=True):
            gaze += size * np.sin(2 * np.pi * hertz * t_s[:, None] + phase)
        return gaze

    def _pupil(self, t_s: FloatArray) -> FloatArray:
        pupil = np.full(len(t_s), self._participant.traits.pupil_mm)
        before = 0.0
        for since_s, behaviour in self._reactions:
            step = behaviour.pupil_change_mm - before
            before = behaviour.pupil_change_mm
            pupil += step * (np.interp(t_s - since_s, _STEP_T_S, _STEP_RESPONSE) if np.isfinite(since_s) else 1.0)
        for hertz, size, phase in zip((0.07, 0.19, 0.41), (0.03, 0.02, 0.015), self._hippus_phase, strict=True):
            pupil += size * np.sin(2 * np.pi * hertz * t_s + phase)
        return np.asarray(np.clip(pupil, 1.5, 9.0))

    def _closure(self, t_s: FloatArray) -> FloatArray:
        """Lids close in a third of a blink, stay shut for a sixth, open in the rest."""
        closure = np.zeros(len(t_s))
        for start_s, end_s in self._blinks:
            if end_s < t_s[0] or start_s > t_s[-1]:
                continue
            share = np.clip((t_s - start_s) / (end_s - start_s), 0.0, 1.0)
            closing = 0.5 - 0.5 * np.cos(np.pi * np.clip(share / 0.33, 0.0, 1.0))
            opening = 0.5 + 0.5 * np.cos(np.pi * np.clip((share - 0.5) / 0.5, 0.0, 1.0))
            closure = np.maximum(closure, np.minimum(closing, opening))
        return closure

    def _lost(self, t_s: FloatArray) -> BoolArray:
        lost = np.zeros((len(t_s), 2), dtype=bool)
        for start_s, end_s, which in self._losses:
            inside = (t_s >= start_s) & (t_s < end_s)
            lost[:, 0] |= inside & bool(which & 1)
            lost[:, 1] |= inside & bool(which & 2)
        return lost
