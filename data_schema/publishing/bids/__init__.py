"""Publish a study as a BIDS dataset of eye tracking (version 1.11)."""

from __future__ import annotations

from data_schema.publishing.bids.dataset import BidsSummary, write_bids
from data_schema.publishing.bids.export import export_bids

__all__ = ["BidsSummary", "export_bids", "write_bids"]
