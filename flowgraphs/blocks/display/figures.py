"""QT GUI link figures: what a Frame Receiver measures and refuses, as a line of text in the flowgraph's window."""

from __future__ import annotations

import html
from collections import Counter

import pmt
from gnuradio import gr
from PyQt5 import QtCore, QtWidgets

from flowgraphs.parts import pdu

_EVERY = 100  # [ms] frames come faster than anybody reads
MEASURED = (("snr_db", "SNR", "{:.1f} dB"), ("cfo", "carrier", "{:+.4f} rad/sample"),
            ("clock_ppm", "clock", "{:+.0f} ppm"), ("evm_db", "EVM", "{:.1f} dB"))  # fmt: skip


class figures(gr.basic_block):
    """Port ``stats`` (of a Frame Receiver) → the widget ``widget``: a box with the title, the latest frame's figures,
    frames so far, and refusals by cause. counts: ``ok``, ``fail``, and refusals by cause.
    """

    def __init__(self, label: str = "Link"):
        gr.basic_block.__init__(self, name="privsc figures", in_sig=None, out_sig=None)
        self.counts: Counter[str] = Counter()
        self._latest: dict = {}
        self.widget = QtWidgets.QGroupBox(label)
        self._label = QtWidgets.QLabel("no frame yet")
        self._label.setWordWrap(True)
        QtWidgets.QVBoxLayout(self.widget).addWidget(self._label)
        self._new = False
        self._timer = QtCore.QTimer(self.widget)  # looks from the window's thread; messages come in another one
        self._timer.timeout.connect(self._show)
        self._timer.start(_EVERY)
        self.message_port_register_in(pmt.intern("stats"))
        self.set_msg_handler(pmt.intern("stats"), self.take)

    def take(self, message) -> None:
        """A message of the port ``stats``; what is not one is counted."""
        got = pdu.split(message)
        if got is None or not ("cause" in got[0] or {"snr_db", "crc_ok"} <= got[0].keys()):
            self.counts["malformed"] += 1
            return
        meta = got[0]
        if "cause" in meta:
            self.counts[str(meta["cause"])] = int(meta.get("count") or 0)
        else:
            self.counts["ok" if meta["crc_ok"] else "fail"] += 1
            self._latest = meta
        self._new = True

    def _show(self) -> None:
        if self._new:
            self._new = False
            self._label.setText(self.text())

    def text(self) -> str:
        """What the widget says, as HTML."""
        latest, counts = self._latest, dict(self.counts)
        parts = [f"<b>{form.format(latest[key])}</b> {name}" for key, name, form in MEASURED if key in latest]
        parts.append(f"<b>{counts.pop('ok', 0)}</b> frames right, <b>{counts.pop('fail', 0)}</b> wrong")
        refused = [f"<b>{count}</b> {html.escape(cause)}" for cause, count in sorted(counts.items()) if count]
        refused = [one for one in refused if "payload_crc" not in one]  # the wrong frames once more
        if refused:
            parts.append("refused: " + ", ".join(refused))
        return " &nbsp;·&nbsp; ".join(parts)
