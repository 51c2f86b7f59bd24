"""The chain on one page, and what is needed to run it: configuration, enrolment, one trial with its figures, the demo.

In: a photograph, K, a configuration. Out: what Bob and Eve see, and figures.
Imports: everything above, and `phy`. Not training, evaluation, experiments, cli.
"""
