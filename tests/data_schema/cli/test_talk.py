from __future__ import annotations

import pytest

from data_schema.cli import talk
from data_schema.cli.talk import Pace, progress_bar


def test_pace_is_that_of_the_work_and_not_of_what_was_there():
    pace = Pace()
    assert (pace.rate_text(), pace.left_text(10)) == ("", "")
    # 500 were there before, in an instant; then one each two seconds.
    for done, now_s in ((0, 100.0), (500, 100.1), (501, 102.1), (502, 104.1)):
        pace.note(done, now_s)
    assert pace.per_s == pytest.approx(0.5)
    assert pace.rate_text() == "30.0/min"
    assert pace.left_text(562) == "2:00 left"
    assert pace.left_text(502 + 1850) == "1:01:40 left"
    fast = Pace()
    fast.note(0, 0.0)
    fast.note(25, 2.0)
    assert fast.rate_text() == "12.5/s"


def test_a_log_gets_lines_with_rate_and_remaining_time(monkeypatch, capsys):
    monkeypatch.setattr(talk, "_LINE_INTERVAL_S", 0.0)
    clock = iter([0.0, 0.0, 10.0, 20.0])
    monkeypatch.setattr(talk.time, "monotonic", lambda: next(clock))
    with progress_bar("clips") as progress:
        for done, name in ((0, ""), (20, "sub-P001"), (40, "sub-P002")):
            progress(done, 100, name)
    assert capsys.readouterr().err.splitlines() == [
        "clips: 0/100",
        "clips: 20/100, 2.0/s, 0:40 left, sub-P001",
        "clips: 40/100, 2.0/s, 0:30 left, sub-P002",
    ]
