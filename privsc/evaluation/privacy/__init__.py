"""What attackers reach: attacks on the received picture, classifiers, and those that judge.

In: photographs, K. Out: how often somebody is named, beside chance.
Imports: as `privsc.evaluation`.
"""
