"""Our GNU Radio blocks; the *.block.yml files beside them are what gnuradio-companion shows."""

from flowgraphs.blocks.codec import codec_decoder, codec_encoder, message_counter
from flowgraphs.blocks.frame_encoder import frame_encoder
from flowgraphs.blocks.frame_receiver import frame_receiver
from flowgraphs.blocks.frame_sync import frame_decoder, frame_sync
from flowgraphs.blocks.guard import guard
from flowgraphs.blocks.image_assembler import image_assembler
from flowgraphs.blocks.image_sink import image_sink
from flowgraphs.blocks.image_source import image_source
from flowgraphs.blocks.recovery import recovery
from flowgraphs.blocks.run_report import run_report
from flowgraphs.blocks.sionna_channel import sionna_channel
from flowgraphs.blocks.soapy import fill_silence, soapy_sink, soapy_source

__all__ = ["codec_decoder", "codec_encoder", "fill_silence", "frame_decoder", "frame_encoder", "frame_receiver",
           "frame_sync", "guard", "image_assembler", "image_sink", "image_source", "message_counter", "recovery",
           "run_report", "sionna_channel", "soapy_sink", "soapy_source"]  # fmt: skip
