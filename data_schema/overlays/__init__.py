"""Where people looked, drawn over what they looked at: fixation maps as images, gaze and maps as videos.

Import from the modules; this package loads none of them by itself.
"""
