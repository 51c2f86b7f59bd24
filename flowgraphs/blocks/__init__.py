"""Our GNU Radio blocks; the *.block.yml files beside them are what gnuradio-companion shows.

frames: bytes to samples and back; air: channels and radios; images: pictures, through the worker; display: windows
(Qt), which is why what it holds is not imported here. Imports: `flowgraphs.parts`, `flowgraphs.worker`, `phy`.
"""

from flowgraphs.blocks.air.sionna_channel import sionna_channel
from flowgraphs.blocks.air.soapy import fill_silence, soapy_sink, soapy_source
from flowgraphs.blocks.frames.codec import codec_decoder, codec_encoder, message_counter
from flowgraphs.blocks.frames.frame_encoder import frame_encoder
from flowgraphs.blocks.frames.frame_receiver import frame_receiver
from flowgraphs.blocks.frames.frame_sync import frame_decoder, frame_sync
from flowgraphs.blocks.images.guard import guard
from flowgraphs.blocks.images.image_assembler import image_assembler
from flowgraphs.blocks.images.image_sink import image_sink
from flowgraphs.blocks.images.image_source import image_source
from flowgraphs.blocks.images.recovery import recovery
from flowgraphs.blocks.images.run_report import run_report

__all__ = ["codec_decoder", "codec_encoder", "fill_silence", "frame_decoder", "frame_encoder", "frame_receiver",
           "frame_sync", "guard", "image_assembler", "image_sink", "image_source", "message_counter", "recovery",
           "run_report", "sionna_channel", "soapy_sink", "soapy_source"]  # fmt: skip
