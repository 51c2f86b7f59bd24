"""Bytes, messages and IQ samples: the signal path imports numpy and scipy only."""
