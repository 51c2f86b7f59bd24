"""Recordings that people have: SigMF, archives of it, raw samples, WAV; whoever made them.

In: a path. Out: a `Recording` (where which samples lie, at what rate), and its samples in blocks.
Imports: `hardware.errors`, numpy. Everything in a file is hostile until checked, and bounded before memory is taken.
"""
