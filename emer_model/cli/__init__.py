"""The verbs of the model side, one file each.

Light at import: torch and plotly are loaded when a verb runs.
"""
