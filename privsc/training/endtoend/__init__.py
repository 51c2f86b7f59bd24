"""Algorithm 3: all parts trained together, with Eve in the loop.

In: photographs and K. Out: a codec and networks that fit one another.
Imports: as `privsc.training`.
"""
