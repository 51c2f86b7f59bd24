"""GNU Radio blocks and flowgraphs (interpreter: the distribution's python3)."""
