"""From clips to labels: what annotators do, and what their labels say together.

Stands on `data_schema` alone; `collection` and `emer_model` are met in files.
"""

from __future__ import annotations
