"""Clips: which part of which recording is one, and whether it is good enough.

Import from the modules; this package loads none of them by itself.
"""
