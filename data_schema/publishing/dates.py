"""Dates: dropped, or shifted by a number of days that is each participant's own.

BIDS asks that shifted dates lie before 1925, so that nobody takes them for real, and that all dates of a participant move by
the same number of days, so that the time between sessions is kept (BIDS specification, "Describing dates and timestamps").
"""

from __future__ import annotations

import secrets
from datetime import date, datetime, timedelta, timezone

from data_schema.session.layout import ANCHORS
from data_schema.session.reader import Session

#: Shifted dates lie before this one.
LATEST = date(1925, 1, 1)
#: At least 120 years back, so that dates up to the end of 2044 come to lie before 1925, and up to 20 years more: the true date
#: is then one of 7,305 days.
_MIN_SHIFT_DAYS = 43_830
_SPREAD_DAYS = 7_305
#: In the language of our reports, whatever the machine speaks.
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
)  # fmt: skip


def draw_shift() -> int:
    """Draw by how many days a participant's dates are shifted; negative."""
    return -(_MIN_SHIFT_DAYS + secrets.randbelow(_SPREAD_DAYS))


def shifted(day: date, shift_days: int) -> date:
    """Return a date moved by a participant's shift; further back if it would not lie before 1925."""
    moved = day + timedelta(days=shift_days)
    while moved >= LATEST:
        moved -= timedelta(days=_SPREAD_DAYS)
    return moved


def recorded_day(session: Session, origin_us: int) -> date | None:
    """Return the day (UTC) on which a session was recorded, or None if the file does not say.

    Parameters
    ----------
    session : Session
    origin_us : int
        Host time whose day is asked for.
    """
    anchors = session.table(ANCHORS)[:1]
    if len(anchors):
        utc_us = int(anchors["t_utc_us"][0]) + origin_us - int(anchors["t_system_us"][0])
        return (datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=utc_us)).date()
    try:
        return date.fromisoformat(session.created_utc[:10])
    except (KeyError, ValueError):
        return None


def spellings(day: date) -> tuple[str, ...]:
    """Return how a date may be written in an export, to search for it."""
    month, short = _MONTHS[day.month - 1], _MONTHS[day.month - 1][:3]
    return (
        *(f"{day.day} {name} {day.year}" for name in (month, short)),
        *(f"{name} {day.day}, {day.year}" for name in (month, short)),
        day.isoformat(),
        day.strftime("%Y/%m/%d"),
        day.strftime("%Y_%m_%d"),
        day.strftime("%d.%m.%Y"),
        day.strftime("%d/%m/%Y"),
        day.strftime("%m/%d/%Y"),
    )
