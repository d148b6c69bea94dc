"""Draws the pictures of the documentation from the notebook's own charts.

MIXPANEL_DUCKDB=mixpanel.duckdb python docs/pictures.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import altair as alt

from pipelines import local_analysis as notebook

DOCS = Path(__file__).parent
SCALE = 1.15
MARGIN = 20


def main() -> None:
    """Run the notebook and draw what it has found."""
    _, found = notebook.app.run()
    pictures = {
        "events.png": {
            "Events over time": notebook.draw_events(found["over_time"]),
            "Top events": notebook.draw_bars(found["top_events"], "event", "events", "label"),
        },
        "active.png": {
            "Users active on the day, and in the 7 and 30 days to it": notebook.draw_active(
                found["active"]
            )
        },
        "retention.png": {"Retention by day": notebook.draw_retention(found["retention"], "day")},
        "funnel.png": {
            "Funnel": notebook.draw_bars(found["funnel"], "name", "users", "label"),
            f"Profiles by {found['breakdown'].selected_key}": notebook.draw_bars(
                found["profiles"], "name", "profiles", "label"
            ),
        },
        "freshness.png": {"Freshness": notebook.draw_freshness(found["freshness"])},
    }
    for name, charts in pictures.items():
        save(name, *(chart.properties(title=title) for title, chart in charts.items()))


def save(name: str, *charts: Any) -> None:  # noqa: ANN401 - altair has many kinds of chart
    """Save charts as one picture, one below the other."""
    whole = alt.vconcat(*charts, spacing=36, padding=MARGIN).resolve_scale(color="independent")
    notebook.styled(whole).save(str(DOCS / name), scale_factor=SCALE)


if __name__ == "__main__":
    main()
