"""`python -m mixpanel_destination.cli` is `mixpanel-destination`."""

import sys

from .app import main

sys.exit(main())
