"""What lies between the samples of a device or a recording and a receive chain: checked, DC removed, resampled.

In: blocks of complex64 as they come. Out: blocks at the signal's rate.
Imports: `hardware.errors`, numpy, scipy.
"""
