"""The guard, Algorithm 1: what must not be sent is found and removed.

In: a photograph S and the entities of K. Out: (A, M, i), the masked photograph, the mask, who was hidden.
Imports: `privsc.networks`, `privsc.knowledge`, `privsc.images`.
"""
