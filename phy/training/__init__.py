"""How the codecs are trained (torch).

In: a plan (bits, channel uses, SNR). Out: a codec in `phy/codecs`.
Imports: `phy.codec`, `phy.errors`. Nothing that runs imports it.
"""
