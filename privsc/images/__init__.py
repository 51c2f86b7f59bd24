"""Photographs as pixels: read, cut, warped, compared.

In: files or HWC uint8. Out: HWC uint8, masks, figures.
Imports: `privsc.errors`, `privsc.files`. No network.
"""
