"""What can go wrong with a device on request, and when."""

from __future__ import annotations

from dataclasses import dataclass

from data_schema.errors import DeviceError

#: Kind of fault and what it does.
FAULT_KINDS: dict[str, str] = {
    "absent": "connect() fails as if the cable were out",
    "disconnect": "says that the connection is lost and delivers nothing; with a duration it comes back",
    "silence": "delivers nothing and says nothing",
    "stall": "holds everything back and delivers it at once afterwards",
    "clock_jump": "the device's own clock jumps by `amount_us`",
    "duplicate": "delivers everything twice",
    "wrong_rate": "the tracker delivers half the rate that it describes",
    "slow_camera": "the camera delivers half the rate that it describes, as in a dark room",
    "one_eye": "the tracker loses the right eye, also for a calibration",
    "collect_fails": "the tracker gets too little data at each calibration target",
    "calibration_fails": "computing a calibration fails; the old one stays in use",
    "bad_calibration": "a calibration computed meanwhile puts the gaze some three degrees off",
    "wandering": "the simulated participant does not look at targets",
}
#: Faults that are usual from the start on, so that a specification may leave their time out.
FROM_THE_START = frozenset(
    (
        "absent",
        "wrong_rate",
        "slow_camera",
        "one_eye",
        "collect_fails",
        "calibration_fails",
        "bad_calibration",
        "wandering",
    )
)


@dataclass(frozen=True)
class Fault:
    """One fault.

    Parameters
    ----------
    kind : str
        One of :data:`FAULT_KINDS`.
    at_s : float
        Seconds after the start of the device.
    duration_s : float
        How long it lasts; infinite by default.
    amount_us : int
        Size of a clock jump, microseconds.
    """

    kind: str
    at_s: float = 0.0
    duration_s: float = float("inf")
    amount_us: int = 1_000_000

    def __post_init__(self) -> None:
        if self.kind not in FAULT_KINDS:
            raise DeviceError(f"There is no fault '{self.kind}'. Known faults: {', '.join(FAULT_KINDS)}.")
        if not self.at_s >= 0 or not self.duration_s > 0:
            raise DeviceError(
                f"A fault begins at 0 s or later and lasts more than 0 s, got {self.at_s:g}, {self.duration_s:g}."
            )
