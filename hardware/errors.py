"""Errors of the package: one root, one child per part. Each message is one line: what, its limit, the value got, what
to do."""


class HardwareError(Exception):
    """Root of everything that ``hardware`` raises for what a user or a device can cause."""


class ProfileError(HardwareError):
    """A profile that cannot be read, is impossible in itself, or asks a device for what it does not have."""


class DeviceError(HardwareError):
    """A device or its driver is missing, or refuses."""


class TransmitRefused(HardwareError):
    """A transmission that nobody allowed: no ``--transmit``, or outside the profile's allow-list or gain ceiling."""


class StationError(HardwareError):
    """The radio process cannot be started, has ended, or refused a request."""


class RecordingError(HardwareError):
    """A SigMF recording that cannot be read or written."""
