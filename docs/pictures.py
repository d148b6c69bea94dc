"""Draws the pictures of the documentation from the charts of the notebook.

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
    """Run the notebook and draw its charts."""
    _, values = notebook.app.run()
    pictures = {
        "events.png": {
            "Events over time": notebook.draw_events(values["over_time"]),
            "Top events": notebook.draw_bars(values["top_events"], "event", "events", "label"),
        },
        "active.png": {
            "Users active on the day, and in the 7 and 30 days to it": notebook.draw_active(
                values["active"]
            )
        },
        "retention.png": {"Retention by day": notebook.draw_retention(values["retention"], "day")},
        "funnel.png": {
            "Funnel": notebook.draw_bars(values["funnel"], "name", "users", "label"),
            f"Profiles by {values['breakdown'].selected_key}": notebook.draw_bars(
                values["profiles"], "name", "profiles", "label"
            ),
        },
        "freshness.png": {"Freshness": notebook.draw_freshness(values["freshness"])},
    }
    for name, charts in pictures.items():
        save(name, *(chart.properties(title=title) for title, chart in charts.items()))


def save(name: str, *charts: Any) -> None:  # noqa: ANN401 - altair has many kinds of chart
    """Save charts as one picture, one below the other."""
    whole = alt.vconcat(*charts, spacing=36, padding=MARGIN).resolve_scale(color="independent")
    notebook.styled(whole).save(str(DOCS / name), scale_factor=SCALE)


if __name__ == "__main__":
    main()
