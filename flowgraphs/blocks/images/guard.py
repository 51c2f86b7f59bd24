"""Guard: photograph or image in, payload (A, i) out; the worker's guard does the work."""

from __future__ import annotations

import numpy as np
import pmt

from flowgraphs.parts import pdu
from flowgraphs.worker.worker_block import image_of, image_pdu, worker_block
from flowgraphs.worker.worker_client import WorkerClient


class guard(worker_block):
    """Port ``image`` (a photo PDU: an encoded file; or an image PDU) → ports ``payload`` for the frame encoder,
    ``original`` (S) and ``masked`` (A) as images.

    endpoint: of a worker with the role guard. coding: pixels, webp, avif or jpeg. quality: 1 to 100, of the last three.
    max_side: [px], larger photographs are scaled down. timeout: [s] for one image.
    """

    def __init__(
        self,
        endpoint: str = "ipc://worker",
        coding: str = "pixels",
        quality: int = 80,
        max_side: int = 640,
        timeout: float = 120.0,
    ):
        worker_block.__init__(self, "privsc guard", "image", endpoint, timeout)
        self.params = {"coding": coding, "quality": int(quality), "max_side": int(max_side)}
        for port in ("payload", "original", "masked"):
            self.message_port_register_out(pmt.intern(port))

    def set_coding(self, value: str) -> None:
        """pixels, webp, avif or jpeg, from the next image on."""
        self.params = {**self.params, "coding": value}

    def set_quality(self, value: int) -> None:
        """1 to 100, from the next image on."""
        self.params = {**self.params, "quality": int(value)}

    def set_max_side(self, value: int) -> None:
        """[px], from the next image on."""
        self.params = {**self.params, "max_side": int(value)}

    def serve(self, client: WorkerClient, meta: dict, vector: np.ndarray) -> None:
        image_id = int(meta["image_id"])
        sent = {"image": image_of(meta, vector)} if "height" in meta else {"photo": vector}
        params = self.params  # a callback may put others there
        answer = client.request("guard", params, sent)
        result, buffers = answer.header["result"], answer.buffers
        names = ", ".join(entity["name"] for entity in result["entities"])
        self.message_port_pub(pmt.intern("original"), image_pdu(buffers["image"], image_id, "original"))
        self.message_port_pub(pmt.intern("masked"), image_pdu(buffers["masked"], image_id, "transmitted"))
        payload = {
            "image_id": image_id,
            "k_digest": bytes.fromhex(result["k_digest"]),
            "head": buffers["head"],
            "hidden": names,
            "coding": params["coding"],
            "seconds": float(answer.header["seconds"]),
        }
        self.message_port_pub(pmt.intern("payload"), pdu.make(payload, buffers["body"]))
