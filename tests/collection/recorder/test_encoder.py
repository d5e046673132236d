from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from collection.recorder.encoder import FrameRejected, VideoEncoder
from collection.recorder.queues import WRONG_SIZE
from data_schema.errors import MediaError


def _shade(number: int) -> np.ndarray:
    return np.full((96, 128, 3), 20 + 2 * number, dtype=np.uint8)


def test_each_frame_gives_one_packet_at_once_with_its_own_time() -> None:
    encoder = VideoEncoder(128, 96, 30.0)
    assert encoder.extradata.startswith(b"\x00\x00\x00\x01\x67")
    rng = np.random.default_rng(7)
    stamps = 5_000_000 + np.cumsum(rng.integers(10_000, 60_000, 70))
    encoded = [encoder.encode(_shade(i), int(t), missed_before=i % 3) for i, t in enumerate(stamps)]
    rows = np.concatenate([frame.row for frame in encoded])
    assert rows["t_capture_us"].tolist() == stamps.tolist()
    assert rows["pts"].tolist() == (stamps - stamps[0]).tolist()
    assert rows["packet_size"].tolist() == [len(frame.payload) for frame in encoded]
    assert rows["missed_before"].tolist() == [i % 3 for i in range(70)]
    assert encoder.close() == 0

    decoder = av.CodecContext.create("h264", "r")
    decoder.extradata = encoder.extradata
    decoder.thread_type = "SLICE"
    decoder.flags |= av.codec.context.Flags.low_delay
    shades = []
    for frame in encoded:
        packet = av.Packet(frame.payload)
        packet.pts = packet.dts = int(frame.row["pts"][0])
        packet.time_base = Fraction(1, 1_000_000)
        shades += [(f.pts, float(f.to_ndarray(format="rgb24").mean())) for f in decoder.decode(packet)]
    shades += [(f.pts, float(f.to_ndarray(format="rgb24").mean())) for f in decoder.decode(None)]
    assert [pts for pts, _ in shades] == rows["pts"].tolist()
    assert np.allclose([mean for _, mean in shades], [20 + 2 * i for i in range(70)], atol=4)


def test_key_frames_are_never_further_apart_than_asked() -> None:
    encoder = VideoEncoder(128, 96, 30.0, keyframe_every=6)
    keys = [i for i in range(40) if encoder.encode(_shade(i), 33_333 * (i + 1)).row["keyframe"][0]]
    assert keys[0] == 0
    assert max(np.diff(keys)) <= 6


def test_odd_sizes_lose_their_last_row_and_column() -> None:
    encoder = VideoEncoder(129, 97, 30.0)
    assert (encoder.width_px, encoder.height_px) == (128, 96)
    assert encoder.encode(np.zeros((97, 129, 3), dtype=np.uint8), 1).payload


@pytest.mark.parametrize("stamp", [1_000, 900])
def test_a_frame_whose_stamp_went_back_is_kept_with_its_own_stamp(stamp: int) -> None:
    encoder = VideoEncoder(128, 96, 30.0)
    encoder.encode(_shade(0), 1_000)
    row = encoder.encode(_shade(1), stamp).row
    assert row["t_capture_us"][0] == stamp
    assert row["pts"][0] == 1
    assert encoder.encode(_shade(2), 3_000).row["pts"][0] == 2_000


def test_a_bad_frame_is_refused_and_the_stream_goes_on() -> None:
    encoder = VideoEncoder(128, 96, 30.0)
    encoder.encode(_shade(0), 1_000)
    with pytest.raises(FrameRejected) as caught:
        encoder.encode(np.zeros((96, 120, 3), dtype=np.uint8), 2_000)
    assert caught.value.reason == WRONG_SIZE
    assert encoder.encode(_shade(1), 3_000).row["pts"][0] == 2_000
    assert encoder.n_encoded == 2


def test_an_unknown_preset_is_named() -> None:
    with pytest.raises(MediaError, match=r"warpspeed.*study\.toml"):
        VideoEncoder(128, 96, 30.0, preset="warpspeed")


def test_cost_is_measured() -> None:
    encoder = VideoEncoder(128, 96, 30.0)
    assert np.isnan(encoder.cost_ms()[0])
    encoder.encode(_shade(0), 1)
    median, high = encoder.cost_ms()
    assert 0 < median <= high


def test_pictures_are_scaled_to_the_chosen_size() -> None:
    encoder = VideoEncoder(129, 97, 30.0, encoded_px=(64, 48))
    assert (encoder.width_px, encoder.height_px) == (64, 48)
    image = np.zeros((97, 129, 3), dtype=np.uint8)
    image[:, 64:] = 200
    encoded = encoder.encode(image, 1)
    decoder = av.CodecContext.create("h264", "r")
    decoder.extradata = encoder.extradata
    frames = decoder.decode(av.Packet(encoded.payload)) + decoder.decode(None)
    assert [(frame.width, frame.height) for frame in frames] == [(64, 48)]
    picture = frames[0].to_ndarray(format="gray")
    assert picture[:, :30].mean() < 40 < 150 < picture[:, 34:].mean(), "left is dark and right is bright, as given"
    with pytest.raises(FrameRejected):
        encoder.encode(np.zeros((48, 64, 3), dtype=np.uint8), 2)
