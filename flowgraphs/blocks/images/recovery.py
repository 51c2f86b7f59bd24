"""Recovery: what arrived of an image in, the image a receiver ends with out; the worker's recovery does the work."""

from __future__ import annotations

import numpy as np
import pmt

from flowgraphs.parts import pdu
from flowgraphs.worker.worker_block import image_pdu, worker_block
from flowgraphs.worker.worker_client import WorkerClient


class recovery(worker_block):
    """Port ``received`` (from the image assembler) → ports ``image`` (Ŝ), ``received_image`` (Â) and ``seen`` (both and
    the figures, for the report).

    endpoint: of a worker with the role recovery (with_k) or generic. with_k: True for the authorised receiver.
    class_word: what someone without K knows of what was hidden. seed: of the reverse process. size: (H, W) [px] of the
    grey image where even the head was lost. timeout: [s] for one image.
    """

    def __init__(
        self,
        endpoint: str = "ipc://worker",
        with_k: bool = True,
        class_word: str = "",
        seed: int = 0,
        size: tuple[int, int] = (256, 256),
        timeout: float = 300.0,
    ):
        worker_block.__init__(self, "privsc recovery", "received", endpoint, timeout)
        self.with_k, self.class_word, self.seed, self.size = bool(with_k), class_word, int(seed), tuple(size)
        for port in ("image", "received_image", "seen"):
            self.message_port_register_out(pmt.intern(port))

    def set_class_word(self, value: str) -> None:
        """What someone without K knows, from the next image on."""
        self.class_word = value

    def set_seed(self, value: int) -> None:
        """Of the reverse process, from the next image on."""
        self.seed = int(value)

    def serve(self, client: WorkerClient, meta: dict, vector: np.ndarray) -> None:
        image_id, count = int(meta["image_id"]), len(vector)
        params = {"k_digest": bytes(meta["k_digest"]).hex(), "seed": self.seed, "size": list(self.size)}
        if not self.with_k and self.class_word:
            params["class_word"] = self.class_word
        flags = {name: pdu.unpack_flags(meta[name], count) for name in ("arrived", "exact")}
        answer = client.request(
            "recovery" if self.with_k else "generic", params, {"head": meta["head"], "body": vector, **flags}
        )
        result, buffers = answer.header["result"], answer.buffers
        failure = result["failure"] or ""
        restored, received = buffers["restored"], buffers["received"]
        who = "Bob" if self.with_k else "Eve"
        self.message_port_pub(pmt.intern("received_image"), image_pdu(received, image_id, f"received by {who}"))
        self.message_port_pub(pmt.intern("image"), image_pdu(restored, image_id, who, failure=failure))
        seen = {name: meta[name] for name in ("frames", "body_frames", "missing", "crc_failures", "snr_db", "arrived")}
        seen |= {
            "received": received,
            "concealed": pdu.pack_flags(buffers["concealed"]),
            "failure": failure,
            "body": vector,
            "seconds": float(answer.header["seconds"]),
        }
        self.message_port_pub(pmt.intern("seen"), image_pdu(restored, image_id, who, **seen))
