"""Recovery, eqs. (12) to (14): the entity is painted back.

In: what was received, the region, entities of K or none, hints. Out: Ŝ.
Imports: `privsc.networks`, `privsc.hints`, `privsc.knowledge`, `privsc.images`.
"""
