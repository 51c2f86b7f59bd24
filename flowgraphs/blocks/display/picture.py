"""QT GUI picture: the latest image of a port, live in the flowgraph's window."""

from __future__ import annotations

from collections import Counter

import pmt
from gnuradio import gr
from PyQt5 import QtCore, QtGui, QtWidgets

from flowgraphs.parts import pdu
from flowgraphs.worker.worker_block import image_of


class _Label(QtWidgets.QLabel):
    """A label that takes images from any thread and scales them to its size."""

    arrived = QtCore.pyqtSignal(object, str)

    def __init__(self, title: str, height: int):
        QtWidgets.QLabel.__init__(self)
        self._image: QtGui.QPixmap | None = None
        self.setAlignment(QtCore.Qt.AlignCenter)
        self.setMinimumSize(height, height)
        self.setSizePolicy(QtWidgets.QSizePolicy.Ignored, QtWidgets.QSizePolicy.Ignored)  # the window's size decides
        self.setText(f"{title}: no image yet")
        self.arrived.connect(self._take)

    def _take(self, image, note: str) -> None:
        height, width = image.shape[:2]
        shown = QtGui.QImage(image.tobytes(), width, height, 3 * width, QtGui.QImage.Format_RGB888)
        self._image = QtGui.QPixmap.fromImage(shown)
        self._fit()
        self.setToolTip(note)

    def _fit(self) -> None:
        if self._image is not None:
            self.setPixmap(self._image.scaled(self.size(), QtCore.Qt.KeepAspectRatio, QtCore.Qt.SmoothTransformation))

    def resizeEvent(self, event) -> None:
        """Qt's own name for it."""
        QtWidgets.QLabel.resizeEvent(self, event)
        self._fit()


class picture(gr.basic_block):
    """Port ``image`` → the widget ``widget``: a box with the title and the picture, as large as there is room
    for, at least ``height`` [px]."""

    def __init__(self, label: str = "Picture", height: int = 240):
        gr.basic_block.__init__(self, name="privsc picture", in_sig=None, out_sig=None)
        self.counts: Counter[str] = Counter()
        self.widget = QtWidgets.QGroupBox(label)
        self._label = _Label(label, height)
        layout = QtWidgets.QVBoxLayout(self.widget)
        layout.addWidget(self._label)
        self.message_port_register_in(pmt.intern("image"))
        self.set_msg_handler(pmt.intern("image"), self.take)

    def take(self, message) -> None:
        """An image PDU; what is not one is counted."""
        try:
            meta, vector = pdu.split(message) or ({}, None)
            image = image_of(meta, vector)
        except (KeyError, TypeError, ValueError, AttributeError):
            self.counts["malformed"] += 1
            return
        self.counts["shown"] += 1
        self._label.arrived.emit(image, f"image {meta.get('image_id')}")
