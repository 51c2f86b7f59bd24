"""Real and virtual radios (interpreter: the distribution's python3).

profiles ─► drivers ─► process; `diagnosis` looks at captures, `sigmf_io` keeps them, `soapy_zmq` is the virtual radio's
driver.
In: a profile and samples. Out: samples and frames. Imports: `phy`.
"""
