"""The chain in GNU Radio: blocks, flowgraphs (*.grc) the program that runs them; in the distribution's Python."""
