"""The plots of the quality page, as SVG; drawn with matplotlib, without a window."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

from collection.quality.series import Series

#: Colours that colour-blind readers can tell apart (Okabe and Ito 2008, "Color Universal Design").
LEFT, RIGHT, GOOD, BAD, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#6b7280"
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "emer",
    "font.family": ["sans-serif"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
}


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    FigureCanvasSVG(figure)
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', 'width="100%"', text[text.index("<svg") :], count=1)


def _figure(width: float, height: float, rows: int = 1, **given: Any) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, 1, **given)


def validation_plot(validation: dict[str, Any] | None, screen: dict[str, Any], limit_deg: float) -> str:
    """Draw where each eye looked for each target; readable in two seconds: inside the circles is good.

    Parameters
    ----------
    validation : dict or None
        As `collection.quality.calibrations.attempts_of` returns.
    screen : dict
        Geometry, as of ``ScreenGeometry``.
    limit_deg : float
        Largest mean offset that the study allows; the circles' radius.
    """
    if validation is None:
        return ""
    with matplotlib.rc_context(_STYLE):
        figure, axes = _figure(5.2, 3.4)
        half_x = np.degrees(np.arctan2(screen["width_mm"] / 2, screen["distance_mm"]))
        half_y = np.degrees(np.arctan2(screen["height_mm"] / 2, screen["distance_mm"]))
        axes.add_patch(Rectangle((-half_x, -half_y), 2 * half_x, 2 * half_y, fill=False, color=GREY, lw=1))
        for point in validation["points"]:
            (x, y), (gaze_x, gaze_y) = point["target_deg"], point["gaze_deg"]
            within = point["accuracy_deg"] is not None and point["accuracy_deg"] <= limit_deg
            axes.add_patch(Circle((x, y), limit_deg, fill=False, lw=0.8, color=GREY))
            axes.plot([x], [y], "+", color=GREY, ms=8)
            if gaze_x is None or not np.isfinite(gaze_x):
                continue
            colour = LEFT if point["eye"] == "left" else RIGHT
            axes.plot([x, gaze_x], [y, gaze_y], "-", color=colour, lw=1)
            spread = point["precision_sd_deg"] or 0.0
            axes.add_patch(Circle((gaze_x, gaze_y), max(0.08, spread), color=colour, alpha=0.35, lw=0))
            # The left eye's mark is larger, so that it shows behind the right's where both agree.
            size = (4 if within else 8) + (3 if point["eye"] == "left" else 0)
            axes.plot([gaze_x], [gaze_y], "o" if within else "X", color=colour, ms=size)
        axes.plot([], [], "o", color=LEFT, label="left eye")
        axes.plot([], [], "o", color=RIGHT, label="right eye")
        axes.plot([], [], "X", color=GREY, label=f"more than {limit_deg:g}° off")
        axes.set(
            xlabel="degrees from the screen's centre", xlim=(-half_x - 1, half_x + 1), ylim=(half_y + 1, -half_y - 1)
        )
        axes.set_aspect("equal")
        axes.legend(frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.16), fontsize=8)
        return _svg(figure)


def timeline_plot(series: Series, trials: Sequence[dict[str, Any]], events: Sequence[dict[str, Any]]) -> str:
    """Draw loss, distance and pupil over the session, with the trials behind."""
    with matplotlib.rc_context(_STYLE):
        figure, (loss, distance, pupil) = _figure(9.6, 4.2, 3, sharex=True, height_ratios=[2, 1, 1])
        unit_s, unit = _unit(series)
        times = series.bin_s / unit_s
        for axes in (loss, distance, pupil):
            _trial_bands(axes, series, trials)
        loss.step(times, 100 * series.loss_left, where="mid", color=LEFT, lw=0.8, label="left eye")
        loss.step(times, 100 * series.loss_right, where="mid", color=RIGHT, lw=0.8, label="right eye")
        loss.fill_between(times, 0, 100 * series.loss_both, step="mid", color=BAD, alpha=0.6, lw=0, label="both")
        for event in events:
            if event["kind"] in ("device_fault", "stream_silent", "camera_lost"):
                loss.axvline(event["t_s"] / unit_s, color=BAD, lw=0.8, ls=":")
        loss.set(ylabel="lost (%)", ylim=(0, 102))
        loss.legend(frameon=False, ncols=3, loc="upper right", fontsize=8)
        distance.plot(times, series.distance_mm / 10.0, color=GREY, lw=0.9)
        distance.set(ylabel="distance\n(cm)")
        pupil.plot(times, series.pupil_mm, color=GREY, lw=0.9)
        pupil.set(ylabel="pupil\n(mm)", xlabel=f"{unit}; green: trials that can be used, red: left out")
        return _svg(figure)


def _unit(series: Series) -> tuple[float, str]:
    """Return the unit of time that suits the session's length: its seconds and its name."""
    return (60.0, "minutes") if len(series.bin_s) and series.bin_s[-1] > 300 else (1.0, "seconds")


def _trial_bands(axes: Axes, series: Series, trials: Sequence[dict[str, Any]]) -> None:
    unit_s, _ = _unit(series)
    for trial in trials:
        if "t_start_us" in trial:
            low, high = ((trial[name] - series.start_us) / 1e6 / unit_s for name in ("t_start_us", "t_end_us"))
            axes.axvspan(low, high, color=GOOD if trial["included"] else BAD, alpha=0.13, lw=0)


def rates_plot(series: Series, gaze_hz: float | None) -> str:
    """Draw the rates of gaze and camera over the session, and the residuals of the tracker's clock."""
    with matplotlib.rc_context(_STYLE):
        figure, (gaze, camera, clock) = _figure(9.6, 3.6, 3, sharex=True)
        unit_s, unit = _unit(series)
        times = series.bin_s / unit_s
        gaze.step(times, series.gaze_hz, where="mid", color=LEFT, lw=0.9)
        gaze.set(ylabel="gaze\n(Hz)", ylim=(0, 1.1 * float(np.max(series.gaze_hz, initial=gaze_hz or 1.0))))
        if gaze_hz:
            gaze.axhline(gaze_hz, color=GREY, lw=0.7, ls=":")
        camera.step(times, series.frame_hz, where="mid", color=RIGHT, lw=0.9)
        camera.set(ylabel="camera\n(frames/s)", ylim=(0, 1.1 * float(np.max(series.frame_hz, initial=1.0))))
        clock.plot(series.clock_s / unit_s, series.clock_residual_ms, ".", color=GREY, ms=2)
        clock.set(ylabel="clock\n(ms)", xlabel=unit)
        return _svg(figure)


def intervals_plot(series: Series) -> str:
    """Draw the times between camera frames and between screen refreshes."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(9.6, 2.0), layout="constrained")
        left, right = figure.subplots(1, 2)
        for axes, values, name, colour in (
            (left, series.frame_interval_ms, "between camera frames (ms)", RIGHT),
            (right, series.flip_interval_ms, "between screen refreshes (ms)", LEFT),
        ):
            if len(values):
                highest = float(np.percentile(values, 99.9)) * 1.2
                axes.hist(np.clip(values, 0, highest), bins=100, range=(0, highest), color=colour, log=True)
                axes.set(xlim=(0, highest))
            axes.set(xlabel=name, ylabel="count")
        return _svg(figure)
