"""Recordings of every kind, made from one run: `python -m tests.hardware.recordings` prints what becomes of each."""
