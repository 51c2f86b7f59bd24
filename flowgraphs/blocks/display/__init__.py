"""Blocks that show something in a window: pictures and figures. They need Qt, and so `flowgraphs.blocks` leaves them
out.
"""
