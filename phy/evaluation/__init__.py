"""What the link reaches: error rates of codecs and of the modem, baselines, model cards.

In: codecs, a modem, channels. Out: figures with intervals. `ldpc` and `ldpc_link` need Sionna.
Imports: everything of `phy` but `phy.training`. Nothing that runs imports it.
"""
