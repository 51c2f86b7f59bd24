"""One image over the air and back: what ``privsc`` uses of this package.

    from phy.link import Link

    link = Link(codec="image8x4", channel="awgn")          # names: phy.codec.available(), phy.channel.CHANNELS
    sent = link.transmit(head, body, image_id=7, k_digest=database_digest, best_effort=True)
    bob = link.receive(sent, snr_db=10.0, seed=1, k_digest=database_digest)
    eve = link.receive(sent, snr_db=10.0, seed=2, k_digest=None)        # another seed: another realisation

    bob.head                    # bytes, or None where no repetition survived (CRC-32 protected, sent head_repeats times)
    bob.body                    # bytes, len(body) of them; bytes of lost frames are zero
    bob.body_ok                 # [len(body)] bool, False where the frame that carried the byte was lost
    bob.body_crc_ok             # True only where the whole body is exact
    bob.k_digest_matches        # True/False; None where no digest was given or no header arrived
    bob.snr_db                  # [dB] receiver's own estimate of Es/N0, nan where no frame arrived
    bob.stats                   # LinkStats: message_error_rate, frames_sent, frames_lost, crc_failures, channel_uses
    bob.refusals                # dict cause -> count ("header_crc", "payload_crc", "unknown_codec", ...)
    sent.channel_uses           # complex symbols, everything counted: training, header, pilots, payload, repetition

``best_effort=True`` (``pixels`` payloads) delivers the bytes of frames whose payload CRC fails, since a wrong message
costs one sample; with ``best_effort=False`` (coded payloads) such a frame counts as lost. ``head`` must not be empty,
``body`` may be. ``k_digest`` is at least 8 bytes; the first 8 travel in every header. SNR is Es/N0 per complex symbol
in dB. Nonsense (nan SNR, an unknown codec or channel) raises a child of ``phy.errors.PhyError`` with a one-line message.
"""
