"""`python -m neurodsl` is the command line."""

from __future__ import annotations

import sys

from neurodsl.cli import main

sys.exit(main())
