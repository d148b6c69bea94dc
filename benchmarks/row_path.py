"""`mixpanel-source` as it runs while the scanner is being compiled: row by row, in Python.

`python -m benchmarks.row_path ARGUMENTS` takes the arguments of `mixpanel-source`.
"""

from __future__ import annotations

import sys
from unittest.mock import patch

from mixpanel_source.cli import main
from mixpanel_source.decode.scan.compiling import Compilation

if __name__ == "__main__":
    with patch.object(Compilation, "is_ready", return_value=False):
        sys.exit(main(sys.argv[1:]))
