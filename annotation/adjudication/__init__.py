"""Clips on which annotators differ, for someone who decides. No Qt; the window is in `annotation.views.adjudication`.

Import from the modules; this package loads none of them by itself.
"""
