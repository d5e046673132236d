"""The words of the quality page: its verdict, and the text for a methods section."""

from __future__ import annotations

import math
from typing import Any

GOOD, LOOK, BAD = "good", "look", "bad"


def verdict(data: dict[str, Any]) -> dict[str, Any]:
    """Judge a session.

    Returns
    -------
    dict
        ``level`` ('good', 'look' or 'bad') and ``sentences``: what an operator should know before the participant
        leaves, worst first.
    """
    bad, look = [], []
    if data["session"]["status"] != "complete":
        look.append(f"The session is not complete: its file says '{data['session']['status']}'.")
    trials = data["trials"]
    included = sum(trial["included"] for trial in trials)
    if trials and included < len(trials):
        said = f"{included} of {len(trials)} trials can be used."
        (bad if included < len(trials) / 2 else look).append(said)
    if not trials:
        bad.append("No clip was shown.")
    gaze = data["gaze"]
    if gaze["loss_both"] > 0.25:
        bad.append(f"Gaze is missing in {gaze['loss_both']:.0%} of the session.")
    elif gaze["loss_both"] > 0.1:
        look.append(f"Gaze is missing in {gaze['loss_both']:.0%} of the session.")
    look += _override_sentences(data)
    look += _calibration_sentences(data["calibration"])
    look += _stream_sentences(data)
    look += [f"Check: {line}" for line in data["warnings"]]
    level = BAD if bad else LOOK if look else GOOD
    return {"level": level, "sentences": bad + look or ["Everything is as it should be."]}


def _overridden(data: dict[str, Any]) -> list[dict[str, Any]]:
    return [check for check in data["preflight"] if check["override_reason"]]


def _override_sentences(data: dict[str, Any]) -> list[str]:
    """Name what the pre-flight refused and the operator overrode."""
    return [
        f"Overridden at the pre-flight: {check['check']}: {check['message']}. Reason: {check['override_reason']}."
        for check in _overridden(data)
    ]


def _screen_used(data: dict[str, Any]) -> str:
    """Return what the window really had, where the session went on although that was not the study's screen."""
    wrong = next((check for check in _overridden(data) if check["check"] == "screen"), None)
    if wrong is None:
        return ""
    # The check's message: "1920 x 1080 px (study.toml: 2560 x 1440 px, 60 Hz)".
    return f"; the window really had {wrong['message'].partition(' (')[0]}, which the session went on in spite of"


def _calibration_sentences(calibration: dict[str, Any]) -> list[str]:
    validation, limits = calibration["validation"], calibration["limits"]
    said = []
    if validation is None:
        return ["The calibration was not validated: accuracy is not known."]
    measured = validation["eyes_mean"]["all"]
    if measured["accuracy_deg"] > limits["max_accuracy_deg"]:
        said.append(f"Accuracy is {measured['accuracy_deg']:.2f}°, the study asks for {limits['max_accuracy_deg']:g}°.")
    if validation["gate"] == "overridden":
        said.append(f"The operator went on past a failed validation: {validation['note'] or 'no reason given'}.")
    drift = [check["offset_deg"] for check in calibration["drift_checks"] if math.isfinite(check["offset_deg"])]
    if drift and max(drift) > limits["max_drift_deg"]:
        said.append(f"A re-check found {max(drift):.2f}° of drift (limit {limits['max_drift_deg']:g}°).")
    return said


def _stream_sentences(data: dict[str, Any]) -> list[str]:
    said = []
    flips, camera = data["flips"], data["camera"]
    if flips["n_dropped"] > 0.01 * flips["n_due"]:
        said.append(f"{flips['n_dropped']} of {flips['n_due']} screen refreshes were missed while clips played.")
    if flips["n_clips_ended_early"]:
        n = flips["n_clips_ended_early"]
        said.append(f"The end of {n} {'clip' if n == 1 else 'clips'} was not shown (see the trials).")
    if camera["n_frames"] and camera["n_missed"] > 0.01 * camera["n_frames"]:
        said.append(f"The camera missed {camera['n_missed']} of {camera['n_frames']} frames.")
    answers = data["answers"]
    if answers["n_attentive"] < answers["n_attention_asked"]:
        missed = answers["n_attention_asked"] - answers["n_attentive"]
        said.append(f"The participant said of {missed} clips not to have watched them attentively.")
    if answers["n_checks_failed"]:
        said.append(f"{answers['n_checks_failed']} of {answers['n_checks']} attention checks were answered wrongly.")
    return said


def methods_text(data: dict[str, Any]) -> str:
    """Return sentences for a methods section, with this session's numbers and nothing that was not measured.

    References
    ----------
    Holmqvist et al. (2023), "Eye tracking: empirical foundations for a minimal reporting guideline",
    Behavior Research Methods 55: which numbers belong into a report.
    """
    return " ".join(part for part in (_tracker(data), _validation(data), _quality(data), _camera(data)) if part)


def _device(data: dict[str, Any], role: str) -> dict[str, Any]:
    return next((device for device in data["devices"] if device.get("role") == role), {})


def _tracker(data: dict[str, Any]) -> str:
    device, screen, gaze = _device(data, "eye_tracker"), data["screen"], data["gaze"]
    imported = device.get("kind") == "imported"
    name = str(device.get("model") or ("an eye tracker" if imported else device.get("kind")) or "an eye tracker")
    made = " (simulated: these are no data of a person)" if data["session"]["simulated"] else ""
    firmware = f", firmware {device['firmware']}" if device.get("firmware") else ""
    rate = f" at {gaze['nominal_hz']:g} Hz" if math.isfinite(gaze["nominal_hz"]) else ""
    return (
        f"Gaze was recorded with {name}{firmware}{made}{rate}, on a screen of {screen['width_px']} x "
        f"{screen['height_px']} px ({screen['width_mm']:g} x {screen['height_mm']:g} mm) at a nominal distance of "
        f"{screen['distance_mm']:g} mm{_screen_used(data)}, with {_software(device, data)}."
    )


def _software(device: dict[str, Any], data: dict[str, Any]) -> str:
    """Return what recorded, and what imported that."""
    details = device.get("details", {})
    if device.get("kind") != "imported" or not details.get("software"):
        return str(data["software"])
    recorded = " ".join(str(details[key]) for key in ("software", "software_version") if details.get(key))
    return f"{recorded}, and imported with {data['software']}"


def _validation(data: dict[str, Any]) -> str:
    validation = data["calibration"]["validation"]
    if validation is None and _device(data, "eye_tracker").get("kind") == "imported":
        return "The export says nothing of a validation of the calibration."
    if validation is None:
        return "The calibration was not validated."
    measured = validation["eyes_mean"]["all"]
    n_points = len({tuple(point["target_deg"]) for point in validation["points"]})
    in_use = next((item for item in data["calibration"]["attempts"] if item["in_use"]), None)
    calibrated = f"After a {in_use['n_points']}-point calibration ({in_use['eyes']} eyes), " if in_use else "A "
    return (
        f"{calibrated}validation on {n_points} other points gave a mean accuracy of {measured['accuracy_deg']:.2f}° and "
        f"a precision of {measured['precision_rms_s2s_deg']:.2f}° RMS-S2S ({measured['precision_sd_deg']:.2f}° SD), with "
        f"{measured['data_loss']:.1%} of the samples lost."
    )


def _quality(data: dict[str, Any]) -> str:
    gaze = data["gaze"]
    trials = data["trials"]
    included = sum(trial["included"] for trial in trials)
    return (
        f"Over the session of {data['session']['duration_s'] / 60:.1f} min, gaze from either eye was missing in "
        f"{gaze['loss_both']:.1%} of the time (effective rate {gaze['effective_rate_hz']:.1f} Hz); {included} of "
        f"{len(trials)} trials met the study's inclusion rule."
    )


def _camera(data: dict[str, Any]) -> str:
    camera = data["camera"]
    if not camera["n_frames"]:
        return "No face video was recorded."
    return (
        f"The face was filmed at {camera['rate_hz']:.1f} frames/s on average, with {camera['n_missed']} frames known to "
        "be missing; every frame has its own capture time in the tracker's host clock."
    )
