"""`python -m privsc` is the command `privsc`."""

import sys

from privsc.cli.app import main

sys.exit(main())
