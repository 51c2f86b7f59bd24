"""The chain in GNU Radio: flowgraphs (*.grc), blocks, programs around them; in the distribution's Python.

parts ─► worker ─► blocks; `tools` compiles, runs and draws. Imports: `phy`.
"""
