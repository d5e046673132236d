"""Every word that a participant reads: one TOML file a language, which a study may add to or replace."""

from __future__ import annotations

from collection.texts.loading import Texts, load_texts, shipped_languages

__all__ = ["Texts", "load_texts", "shipped_languages"]
