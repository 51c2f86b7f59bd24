"""Programs around the flowgraphs: compile them, run them, draw them, photograph their window.

In: a .grc file, options. Out: a run's report, a picture.
Imports: `flowgraphs.parts`; the distribution's GNU Radio.
"""
