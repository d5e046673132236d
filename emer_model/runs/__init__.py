"""Finished runs: repeated bit for bit, and opened beside each other."""
