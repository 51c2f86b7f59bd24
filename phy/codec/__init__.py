"""Messages to symbols and back: codebooks and their demappers, the outer code, the header's code.

In: bytes, as messages of k bits. Out: complex symbols; from received ones, messages and posteriors.
Imports: numpy, scipy, `phy.errors`. No torch.
"""
