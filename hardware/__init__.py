"""Real and virtual radios (interpreter: the distribution's python3).

profiles ─► drivers ─► process; `diagnosis` looks at captures, `sigmf_io` keeps them, `recordings` reads
them and those of others, `frontend` mends both, `soapy_zmq` is the virtual radio's
driver.
In: a profile and samples. Out: samples and frames. Imports: `phy`.
"""
