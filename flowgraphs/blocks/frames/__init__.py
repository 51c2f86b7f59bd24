"""Blocks between bytes and samples: codec, frame encoder, frame receiver; what companion shows of them lies beside."""
