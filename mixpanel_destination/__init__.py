"""Write events and profiles to Mixpanel: staged, resumable, checked afterwards.

The public API is what `__all__` names; everything else is private.

`mixpanel` is a destination of dlt, `destination="mixpanel_destination.mixpanel"`, for resources
that `mixpanel_adapter` has prepared. The command `mixpanel-destination` does the rest.
"""

from __future__ import annotations
