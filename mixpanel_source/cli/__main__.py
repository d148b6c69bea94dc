"""`python -m mixpanel_source.cli` is `mixpanel-source`."""

import sys

from .entry import main

sys.exit(main())
