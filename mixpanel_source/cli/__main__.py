"""`python -m mixpanel_source.cli` is `mixpanel-source`."""

import sys

from .app import main

sys.exit(main())
