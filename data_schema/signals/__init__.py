"""Signals: from raw samples and frames to quality, fixations, faces and features.

Pure functions over arrays. Import from the modules; importing this package loads
none of them, so that a verb that needs gaze alone does not load OpenCV.
"""
