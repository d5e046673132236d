"""The stand-in of the driver's tests against the real SDK: same names, signatures, constants and rules."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from collection.devices.tobii_calibration import VALIDITIES
from collection.devices.tobii_errors import NEXT_STEPS, sdk_errors
from collection.devices.tobii_notices import NOTIFICATION_NAMES
from data_schema.clocks import SystemClock
from data_schema.errors import DeviceError

from ..collection.devices import tobii_stand_in as stand_in

pytestmark = pytest.mark.lab


@pytest.fixture
def real() -> Any:
    return pytest.importorskip("tobii_research", reason="needs the Tobii SDK (CPython 3.10)")


def _verbs(kind: type) -> dict[str, list[tuple[str, Any]]]:
    """Return public methods and their parameters, without those of the stand-in's own controls."""
    found = {}
    for name in dir(kind):
        if name.startswith("_") and name != "__init__":
            continue
        member = inspect.getattr_static(kind, name)
        if inspect.isfunction(member):
            parameters = list(inspect.signature(member).parameters.values())[1:]
            found[name] = [(p.name, p.default) for p in parameters]
    return found


@pytest.mark.parametrize("kind", stand_in.CLASSES, ids=lambda kind: kind.__name__)
def test_every_method_of_the_stand_in_is_the_sdks(real: Any, kind: type) -> None:
    theirs = _verbs(getattr(real, kind.__name__))
    own_controls = {"deliver", "notify", "unplug", "plug_in"}
    for name, parameters in _verbs(kind).items():
        if name not in own_controls:
            assert theirs[name] == parameters, f"{kind.__name__}.{name}"


def test_every_attribute_of_the_stand_ins_data_is_the_sdks(real: Any) -> None:
    eye = stand_in.CalibrationEyeData((0.1, 0.2), 1)
    sample = stand_in.CalibrationSample(eye, eye)
    point = stand_in.CalibrationPoint((0.1, 0.2), (sample,))
    objects = {
        "CalibrationEyeData": eye,
        "CalibrationSample": sample,
        "CalibrationPoint": point,
        "CalibrationResult": stand_in.CalibrationResult("calibration_status_success", (point,)),
        "DisplayArea": stand_in.AREA,
        "LicenseKey": stand_in.LicenseKey(b"key"),
        "FailedLicense": stand_in.FailedLicense(b"key", 4),
    }
    for name, ours in objects.items():
        assert set(vars(ours)) <= {n for n in dir(getattr(real, name)) if not n.startswith("_")}, name
    for (
        attribute
    ) in "address device_name serial_number model firmware_version runtime_version device_capabilities".split():
        assert isinstance(inspect.getattr_static(real.EyeTracker, attribute), property)


def test_constants_are_the_sdks(real: Any) -> None:
    assert {name: getattr(real, name, None) for name in stand_in.CONSTANTS} == stand_in.CONSTANTS
    notifications = {
        name.removeprefix("EYETRACKER_NOTIFICATION_")
        for name in dir(real)
        if name.startswith("EYETRACKER_NOTIFICATION_")
    }
    assert notifications == set(NOTIFICATION_NAMES), "the SDK has a notification that the driver does not keep"
    assert {value for name, value in vars(real).items() if name.startswith("VALIDITY_")} == set(VALIDITIES)


def test_every_exception_of_the_sdk_is_explained(real: Any) -> None:
    theirs = {kind.__name__ for kind in sdk_errors(real)}
    assert theirs == set(NEXT_STEPS) == set(stand_in.EXCEPTIONS)
    for kind in sdk_errors(real):
        assert str(kind("said")) == str(stand_in.ERRORS[kind.__name__]("said")) == "'said'"


def test_licence_results_are_the_sdks(real: Any) -> None:
    for code in (4, 7):
        assert (
            real.FailedLicense(b"key", code).validation_result == stand_in.FailedLicense(b"key", code).validation_result
        )


def test_the_sdks_clock_is_the_host_clock_over_a_second(real: Any) -> None:
    """Same clock, not only the same reading once: the difference does not grow."""
    clock = SystemClock()
    differences = []
    start_us = clock.now_us()
    while clock.now_us() < start_us + 1_000_000:
        before = clock.now_us()
        of_sdk = real.get_system_time_stamp()
        after = clock.now_us()
        differences.append((of_sdk - before, after - of_sdk))
    # A reading lies between the two of ours, but for the rounding to microseconds.
    assert min(min(pair) for pair in differences) >= -1


def test_a_wrong_address_is_an_error_with_a_next_step(real: Any) -> None:
    from collection.devices.tobii import TobiiEyeTracker

    with pytest.raises(DeviceError, match=r"could not be reached at tet-tcp://127\.0\.0\.1:9: .+\. [A-Z]"):
        TobiiEyeTracker(SystemClock(), 600.0, "tet-tcp://127.0.0.1:9").connect()


def test_a_search_that_finds_nothing_says_so(real: Any) -> None:
    from collection.devices.tobii import TobiiEyeTracker

    with pytest.raises(DeviceError, match="No Tobii eye tracker answered"):
        TobiiEyeTracker(SystemClock(), 600.0, search_s=0.1).connect()
