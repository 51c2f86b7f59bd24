"""Run report: everything about one image gathered, the files of `privsc run` written; the worker makes them."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pmt

from flowgraphs.blocks.images.image_sink import write
from flowgraphs.parts import pdu
from flowgraphs.worker.worker_block import image_of, worker_block
from flowgraphs.worker.worker_client import WorkerClient
from phy.codec.packing import bytes_to_messages
from phy.frame.coded import named

_PARTS = ("original", "payload", "sent", "bob", "eve")
_OPEN = 16  # images of which something is still missing


class run_report(worker_block):
    """Ports ``original`` and ``payload`` (of the guard), ``sent`` (of the encoder), ``bob`` and ``eve`` (``seen`` of
    both recoveries) → report.json, report.png, masked.png, mask.png, received.png, bob.png, eve.png in ``folder`` (with
    ``{id}`` in its name: one folder an image), and a message on port ``done``.

    endpoint: of a worker with the role report. channel: what the report calls the channel. snr_db, eve_snr_db: Es/N0
    [dB]. class_word: that Eve knows.
    """

    def __init__(
        self,
        endpoint: str = "ipc://worker",
        folder: str = "results/radio",
        channel: str = "gnuradio",
        snr_db: float = 15.0,
        eve_snr_db: float = 15.0,
        class_word: str = "",
        timeout: float = 300.0,
    ):
        worker_block.__init__(self, "privsc run report", "whole", endpoint, timeout)
        self.folder, self.channel, self.class_word = folder, channel, class_word
        self.snr_db, self.eve_snr_db = float(snr_db), float(eve_snr_db)
        self._parts: dict[int, dict[str, tuple[dict, np.ndarray]]] = {}
        self._written = threading.Semaphore(0)
        for port in _PARTS:
            self.message_port_register_in(pmt.intern(port))
            self.set_msg_handler(pmt.intern(port), getattr(self, f"take_{port}"))
        self.message_port_register_out(pmt.intern("done"))

    def set_snr_db(self, value: float) -> None:
        """Es/N0 at Bob [dB] from now on."""
        self.snr_db = float(value)

    def set_eve_snr_db(self, value: float) -> None:
        """Es/N0 at Eve [dB] from now on."""
        self.eve_snr_db = float(value)

    def set_class_word(self, value: str) -> None:
        """That Eve knows, from now on."""
        self.class_word = value

    def set_folder(self, value: str) -> None:
        """Where the files of the next report go."""
        self.folder = value

    def wait(self, seconds: float) -> bool:
        """Has one more report been written, within that time."""
        return self._written.acquire(timeout=seconds)

    def take_original(self, message) -> None:
        self._gather("original", message)

    def take_payload(self, message) -> None:
        self._gather("payload", message)

    def take_sent(self, message) -> None:
        self._gather("sent", message)

    def take_bob(self, message) -> None:
        self._gather("bob", message)

    def take_eve(self, message) -> None:
        self._gather("eve", message)

    def _gather(self, part: str, message) -> None:
        got = pdu.split(message)
        if got is None or not isinstance(got[0].get("image_id"), int):
            self.counts["malformed"] += 1
            return
        image_id = got[0]["image_id"]
        parts = self._parts.setdefault(image_id, {})
        got[0]["came"] = time.monotonic()
        parts[part] = got
        if len(parts) == len(_PARTS):
            self.take(pdu.make({"image_id": image_id}))
        while len(self._parts) > _OPEN:
            self._parts.pop(next(iter(self._parts)))
            self.counts["incomplete"] += 1

    def serve(self, client: WorkerClient, meta: dict, vector: np.ndarray) -> None:
        image_id = int(meta["image_id"])
        parts = self._parts.pop(image_id)
        params = {"link": self._link(parts), "eve_class_word": self.class_word}
        payload, bob, eve = (parts[name][0] for name in ("payload", "bob", "eve"))
        on_air = min(one["came"] - one["seconds"] for one in (bob, eve)) - payload["came"]  # until one receiver had it
        params["seconds"] = {
            "guard": payload["seconds"],
            "transmit": max(on_air, 0.0),
            "recover": bob["seconds"] + eve["seconds"],
        }
        params["config"] = {"carrier": "gnuradio", "channel": self.channel}
        buffers = {"image": image_of(*parts["original"])}
        for who, one in (("bob", bob), ("eve", eve)):
            params[who] = {"failure": one["failure"] or None}
            restored = image_of(*parts[who])
            buffers[f"{who}_restored"] = restored
            buffers[f"{who}_received"] = one["received"].reshape(restored.shape)
            buffers[f"{who}_concealed"] = pdu.unpack_flags(one["concealed"], restored.size).reshape(restored.shape)
        answer = client.request("report", params, buffers)
        folder = Path(self.folder.replace("{id}", str(image_id)))
        for name, data in answer.buffers.items():
            write(folder / Path(name).name, data.tobytes())
        self.message_port_pub(pmt.intern("done"), pdu.make({"image_id": image_id, "folder": str(folder)}))
        self._written.release()

    def _link(self, parts: dict) -> dict:
        """The link's figures as in `privsc run`."""
        sent, body = parts["sent"][0], parts["payload"][1]
        codec, _ = named(sent["codec"])
        figures = {
            "channel": self.channel,
            "snr_db": self.snr_db,
            "eve_snr_db": self.eve_snr_db,
            "codec": sent["codec"],
            "coding": parts["payload"][0].get("coding"),
            "frames_sent": sent["frames_sent"],
            "channel_uses": sent["channel_uses"],
        }
        for prefix, who in (("", "bob"), ("eve_", "eve")):
            seen = parts[who][0]
            figures[f"{prefix}message_error_rate"] = message_error_rate(body, seen, codec.k)
            figures[f"{prefix}frames_lost"] = sent["body_frames"] - seen["body_frames"]
            figures[f"{prefix}crc_failures"] = seen["crc_failures"]
            figures[f"{prefix}measured_snr_db"] = seen["snr_db"]
        return figures


def message_error_rate(body: np.ndarray, seen: dict, k: int) -> float | None:
    """Share of wrong k-bit messages among the body's bytes that arrived; None where none did, or where messages do not
    end with bytes."""
    if 8 % k or len(seen["body"]) != len(body):
        return None
    arrived = pdu.unpack_flags(seen["arrived"], len(body))
    if not arrived.any():
        return None
    wrong = bytes_to_messages(seen["body"][None, arrived], k) != bytes_to_messages(body[None, arrived], k)
    return float(wrong.mean())
