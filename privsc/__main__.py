"""`python -m privsc` is the command `privsc`."""

import sys

from privsc.cli import main

sys.exit(main())
