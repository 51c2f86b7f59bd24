"""Radios behind one interface: SoapySDR and UHD, and what is plugged in.

In: a profile. Out: an open radio that sends and receives samples.
Imports: `hardware.profiles`, `hardware.errors`; a driver's own library only when a radio is opened.
"""
