"""Turn what the Tobii Pro SDK raises into errors that an operator can act on.

The SDK's exceptions share no base class, and it raises ``ValueError`` where a
number is out of bounds. Every one of them becomes a
:class:`~data_schema.errors.DeviceError` that says what was tried and what to do.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from data_schema.errors import DeviceError, MissingExtraError

#: What to do about each exception class of the SDK.
NEXT_STEPS: dict[str, str] = {
    "EyeTrackerConnectionFailedError": "Check the tracker's cable and power, wait until its light is steady, and try "
    "again.",
    "EyeTrackerDisplayAreaNotValidError": "Set up the display in Eye Tracker Manager: the corners do not describe a "
    "screen in front of the tracker.",
    "EyeTrackerFeatureDeprecatedError": "This firmware no longer offers it; update tobii-research and the firmware "
    "together.",
    "EyeTrackerFeatureNotSupportedError": "This model does not offer it; leave it out of study.toml.",
    "EyeTrackerInternalError": "Close Eye Tracker Manager and other programs that use the tracker, unplug it, plug it "
    "in again, and try again.",
    "EyeTrackerInvalidOperationError": "Another program may be calibrating or using the tracker; close Eye Tracker "
    "Manager and try again.",
    "EyeTrackerLicenseError": "The tracker needs a licence for this; name its file as licence_file in [eye_tracker] of "
    "study.toml, or ask Tobii for one.",
    "EyeTrackerOperationFailedError": "Wait a second and try again; if it fails again, unplug the tracker and plug it "
    "in.",
    "EyeTrackerSavedLicenseFailedToApplyError": "The licence stored on the tracker has probably expired; renew it in "
    "Eye Tracker Manager.",
    "EyeTrackerUnavailableError": "No tracker answers any more; check its cable and power.",
}
_OUT_OF_BOUNDS = "The tracker does not take this value; choose another one."


def import_sdk() -> ModuleType:
    """Import the SDK.

    Raises
    ------
    DeviceError
        If this Python cannot have the SDK.
    MissingExtraError
        If it is not installed.
    """
    try:
        return importlib.import_module("tobii_research")
    except ImportError as error:
        if sys.version_info[:2] != (3, 10):
            version = f"{sys.version_info[0]}.{sys.version_info[1]}"
            raise DeviceError(
                f"The Tobii SDK exists for CPython 3.10 only, and this is {version}. Make an environment "
                'with Python 3.10 and install: pip install "emer-toolkit[lab]". Or rehearse with --eye-tracker simulated.'
            ) from error
        raise MissingExtraError("lab", "tobii_research", "Recording with a Tobii eye tracker") from error


def sdk_errors(sdk: ModuleType | None) -> tuple[type[Exception], ...]:
    """Return the SDK's own exception classes, also those that a later version brings."""
    found = vars(sdk) if sdk is not None else {}
    return tuple(
        value
        for name, value in found.items()
        if name.startswith("EyeTracker") and name.endswith("Error") and isinstance(value, type)
    )


def explained(error: Exception, doing: str) -> DeviceError:
    """Return the error for people: what was tried, what the SDK said, what to do."""
    said = str(getattr(error, "value", None) or error).strip() or type(error).__name__
    step = _OUT_OF_BOUNDS if isinstance(error, ValueError) else ""
    for base in type(error).__mro__:
        step = NEXT_STEPS.get(base.__name__, step)
        if base.__name__ in NEXT_STEPS:
            break
    step = step or NEXT_STEPS["EyeTrackerInternalError"]
    return DeviceError(f"The eye tracker could not {doing}: {said.rstrip('.')}. {step}")


@contextmanager
def translated(sdk: ModuleType | None, doing: str) -> Iterator[None]:
    """Raise the SDK's exceptions as DeviceError; `doing` completes "could not ..."."""
    try:
        yield
    except (*sdk_errors(sdk), ValueError) as error:
        raise explained(error, doing) from error
