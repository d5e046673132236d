"""The annotator's desk without a window: what is shown, what was said, what is saved."""
