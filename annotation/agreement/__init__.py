"""How far annotators agree with each other and with themselves. No Qt; pages need the extra ``agreement``."""

from __future__ import annotations

from annotation.agreement.measures import MEASURES, Measure
from annotation.agreement.ratings import PassRatings, Rater, pass_ratings
from annotation.agreement.report import AgreementReport, agreement
from annotation.agreement.resampling import Estimate, Resamples, estimate

__all__ = [
    "MEASURES",
    "AgreementReport",
    "Estimate",
    "Measure",
    "PassRatings",
    "Rater",
    "Resamples",
    "agreement",
    "estimate",
    "pass_ratings",
]
