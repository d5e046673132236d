"""The verbs of `emer annotate`, one file each."""
