"""Errors of the package: one root, one child per part. Each message is one line: what, its limit, the value got."""


class PhyError(Exception):
    """Root of everything that ``phy`` raises for bad input."""


class CodecError(PhyError):
    """A codec file that cannot be read, an unknown codec, messages or symbols that do not fit a codec."""


class FrameError(PhyError):
    """Something that cannot be put into frames: empty head, oversized payload, impossible header field."""


class ChannelError(PhyError):
    """An unknown channel or a channel parameter outside its range."""


class LinkError(PhyError):
    """A link that cannot be built or a reception that was asked for with impossible arguments."""


class TrainingError(PhyError):
    """A training that cannot start or resume: impossible sizes, foreign checkpoint."""
