"""Training together beside training apart, on the same photographs.

In: what `privsc.training.endtoend` made. Out: figures side by side.
Imports: as `privsc.evaluation`, and `privsc.training`.
"""
