"""Blocks that stand for the air or lead to it: Sionna's channel, SoapySDR."""
