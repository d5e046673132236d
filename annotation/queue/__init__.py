"""What stands in each annotator's queue: the overlap, the order, repeats, gold clips, training and admission.

Import from the modules; this package loads none of them by itself.
"""
