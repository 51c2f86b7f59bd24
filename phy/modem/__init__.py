"""Symbols to samples and back: pulse, preamble, burst; detection, equaliser, tracking, demodulator, stream.

In: a frame's symbols. Out: samples; from a stream of samples, the frames that were found in it.
Imports: `phy.frame`, `phy.channel`, `phy.codec`, `phy.errors`. No torch.
"""
