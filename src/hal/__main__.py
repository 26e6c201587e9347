"""`python -m hal`."""

import sys

from hal.cli import process

sys.exit(process())
