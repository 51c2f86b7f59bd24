"""Bytes to IQ samples and back: codecs, frames, a burst modem, channels.

codec ─► frame ─► modem ─► channel; `link` puts them together, `net` connects processes, `arq` asks again.
In: bytes. Out: samples, and from samples bytes. numpy and scipy, but for `training`, `evaluation.ldpc`,
`evaluation.ldpc_link`, `channel.sionna_channel` and `net.sionna_taps`, which need torch or Sionna. Imports nothing else
of this project.
"""
