"""Exports: clips, folds, protocols, and the training export that models read.

Import from the modules; this package loads none of them by itself.
"""
