"""The chain in GNU Radio: flowgraphs (*.grc), blocks, programs around them; in the distribution's Python.

parts ─► worker ─► blocks; `tools` compiles, runs and draws. Imports: `phy`.
"""

import site
import sys

# As `python3 -s` does: the distribution's GNU Radio cannot load a numpy 2 that the user installed with pip.
if site.ENABLE_USER_SITE:
    sys.path[:] = [entry for entry in sys.path if entry != site.getusersitepackages()]
