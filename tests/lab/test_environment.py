"""The recording PC's environment: the real Tobii SDK, PsychoPy and PyQt5, without any device or screen.

Run by ``make test-lab`` on Python 3.10. No tracker is needed: the SDK's own data
classes can be built from dictionaries, so rows of ours meet objects of theirs.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import textwrap
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from collection.devices import sdk
from data_schema.clocks import SystemClock
from data_schema.session.layout import GAZE, OPENNESS, TIME_SYNC, USER_POSITION, Table

pytestmark = pytest.mark.lab


class _ReadKeys(dict):
    """A sample that notes which of its fields the SDK reads."""

    def __init__(self) -> None:
        super().__init__()
        self.read: set[str] = set()

    def __missing__(self, key: str) -> object:
        self.read.add(key)
        if "area" in key:
            return (0.25, 0.5)
        if "coordinate_system" in key or key.endswith("user_position"):
            return (1.0, 2.0, 3.0)
        return 1.0 if key.endswith(("diameter", "value")) else 1


def _sdk_fields(table: Table) -> set[str]:
    return {column.sdk_field for column in table.columns if column.sdk_field}


@pytest.mark.parametrize(
    ("data_class", "table"),
    [
        ("GazeData", GAZE),
        ("EyeOpennessData", OPENNESS),
        ("UserPositionGuide", USER_POSITION),
        ("TimeSynchronizationData", TIME_SYNC),
    ],
)
def test_layout_names_exactly_the_fields_of_the_sdk(data_class: str, table: Table) -> None:
    import tobii_research

    sample = _ReadKeys()
    getattr(tobii_research, data_class)(sample)
    assert sample.read == _sdk_fields(table)


def _gaze_row() -> np.ndarray:
    row = GAZE.empty(1)
    rng = np.random.default_rng(11)
    for column in GAZE.columns:
        if column.dtype == "u1":
            row[column.name] = 1
        elif column.dtype == "<i8":
            row[column.name] = int(rng.integers(1, 1 << 50))
        else:
            row[column.name] = rng.random(column.shape)
    return row


def test_sdk_object_and_sdk_dictionary_give_the_same_row() -> None:
    import tobii_research

    row = _gaze_row()
    received_us = int(row["t_received_us"][0])
    as_dictionary = sdk.sdk_dictionary(row)
    as_object = tobii_research.GazeData(as_dictionary)
    assert sdk.gaze_row(as_dictionary, received_us) == row
    assert sdk.gaze_row(as_object, received_us) == row


def test_invalid_samples_pass_through_the_sdk_as_nan() -> None:
    import tobii_research

    row = _gaze_row()
    for name in ("left_gaze_norm", "left_pupil_mm", "left_origin_user_mm"):
        row[name] = np.nan
    for name in ("left_gaze_valid", "left_pupil_valid", "left_origin_valid"):
        row[name] = 0
    back = sdk.gaze_row(tobii_research.GazeData(sdk.sdk_dictionary(row)), int(row["t_received_us"][0]))
    assert np.isnan(back["left_gaze_norm"]).all()
    assert np.isnan(back["left_pupil_mm"]).all()
    assert back["left_gaze_valid"] == 0
    assert back["right_gaze_valid"] == 1


def test_sdk_clock_is_our_host_clock() -> None:
    """Rows of devices and of the host are compared by t_system_us: both must read one clock."""
    import tobii_research

    before = SystemClock().now_us()
    of_sdk = tobii_research.get_system_time_stamp()
    after = SystemClock().now_us()
    assert before - 1 <= of_sdk <= after + 1


def test_sdk_finds_no_tracker_without_failing() -> None:
    import tobii_research

    assert tobii_research.find_all_eyetrackers() == ()


def test_psychopy_has_the_pinned_version() -> None:
    pins = (Path(__file__).parents[2] / "constraints" / "py310.txt").read_text(encoding="utf-8").split()
    assert f"psychopy=={version('psychopy')}" in pins
    # psychopy.visual needs a display even to be imported; the presenter alone imports it.
    done = _python("import psychopy, psychopy.data, psychopy.clock; print(psychopy.__version__)")
    assert done.stdout.strip() == version("psychopy")


def test_no_package_of_the_tracker_plugin_shadows_ours() -> None:
    """psychopy-eyetracker-tobii installs top-level packages named ``tests`` and ``tobii``."""
    assert importlib.util.find_spec("tobii") is None


def _python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYTHONUTF8": "1", **environment},
    )


def test_opencv_and_pyqt5_live_in_one_process() -> None:
    """Importing cv2 points Qt at OpenCV's own plugins, with which PyQt5's xcb platform aborts."""
    done = _python(
        """
        import os
        import cv2
        assert "cv2" in os.environ.pop("QT_QPA_PLATFORM_PLUGIN_PATH")
        import numpy as np
        from PyQt5.QtGui import QImage, QPixmap
        from PyQt5.QtWidgets import QApplication, QLabel
        application = QApplication([])
        frame = np.zeros((72, 128, 3), np.uint8)
        cv2.rectangle(frame, (0, 0), (63, 71), (255, 0, 0), -1)
        label = QLabel()
        label.setPixmap(QPixmap.fromImage(QImage(frame.data, 128, 72, 3 * 128, QImage.Format_RGB888)))
        label.show()
        application.processEvents()
        shot = label.grab().toImage()
        print(application.platformName(), shot.pixelColor(10, 10).red(), shot.pixelColor(120, 10).red())
        """
    )
    assert done.stdout.split() == ["offscreen", "255", "0"]


def test_base_install_needs_no_torch_here() -> None:
    assert importlib.util.find_spec("torch") is None
