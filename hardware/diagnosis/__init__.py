"""What is wrong on the air: a known train of frames, and what a capture of it shows.

In: samples of a capture. Out: stages, passed or not, with the reason and the remedy.
Imports: `phy`. No radio.
"""
