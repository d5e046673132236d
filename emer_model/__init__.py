"""EMERT and its baselines: from a training export to a model and a report.

The package reads the training export and nothing else. Importing it is cheap:
torch is loaded by the subpackages that need it.
"""
