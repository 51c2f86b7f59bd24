"""What happens to samples on the way: offsets, multipath, noise, varying impulse responses.

In: complex samples. Out: complex samples. `sionna_channel` alone needs torch and Sionna.
Imports: `phy.errors`.
"""
