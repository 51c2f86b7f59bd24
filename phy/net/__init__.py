"""Between processes: messages with raw buffers, ZMQ endpoints, the bridge to a flowgraph, an encrypting proxy.

In and out: samples, messages, impulse responses. `sionna_taps` alone needs torch and Sionna.
Imports: `phy.link` and what it stands on.
"""
