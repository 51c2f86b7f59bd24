"""Pose hints: how a sample of K lies over the gap. The sender fits, 59 bytes travel, Bob applies.

In: a photograph, a region, samples. Out: a hint; from a hint and samples, the sample over the region.
Imports: `privsc.knowledge`, `privsc.images`.
"""
