"""Where clips come from: a study on the lab's PC.

Import from the modules; this package loads none of them by itself.
"""
