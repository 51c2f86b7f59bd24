"""Which driver a profile wants: ``soapy_radio`` or ``uhd_radio``, by its ``api``; loaded only when it is opened."""

from __future__ import annotations

from hardware.drivers.radio import Radio
from hardware.profiles.profile import Profile


def open_radio(profile: Profile, transmit: bool = False) -> Radio:
    """The profile's device. transmit: somebody allowed transmission; never needed for the virtual radio."""
    allowed = transmit or not profile.safety.ask
    if profile.api == "uhd":
        from hardware.drivers.uhd_radio import UhdRadio

        return UhdRadio(profile, allowed)
    from hardware.drivers.soapy_radio import SoapyRadio

    return SoapyRadio(profile, allowed)
