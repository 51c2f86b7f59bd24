"""The payload: the only place that knows its bytes. A, i and hints to head and body, and back through losses.

In: a masked photograph with what goes beside it. Out: head and body; from received ones, the picture, concealed.
Imports: `privsc.hints`, `privsc.knowledge`, `privsc.images`. No network but the picture code's, in `semantic`.
"""
