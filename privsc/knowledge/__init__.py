"""K, the privacy database: entities with their samples, found by index or by description.

In: a file. Out: entities.
Imports: `privsc.images`, `privsc.errors`. No network, no torch.
"""
