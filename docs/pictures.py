"""Generates the pictures of the documentation from the charts of the notebook.

Run it as

    MIXPANEL_FUNNEL="page view,view item,add to cart,checkout" python docs/pictures.py

beside a `mixpanel.duckdb`.
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
    """Run the notebook and save its charts."""
    _, results = notebook.app.run()
    pictures = {
        "events.png": {
            "Events over time": notebook.draw_events(results["over_time"]),
            "Top events": notebook.draw_bars(results["top_events"], "event", "events", "label"),
        },
        "active.png": {
            "Users of the day, and of the 7 and 30 days that end with it": notebook.draw_active(
                results["active"]
            )
        },
        "retention.png": {"Retention by day": notebook.draw_retention(results["retention"], "day")},
        "funnel.png": {
            "Funnel": notebook.draw_bars(results["funnel"], "name", "users", "label"),
            f"Profiles by {results['breakdown'].selected_key}": notebook.draw_bars(
                results["profiles"], "name", "profiles", "label"
            ),
        },
        "freshness.png": {"Freshness": notebook.draw_freshness(results["freshness"])},
    }
    for name, charts in pictures.items():
        save(name, *(chart.properties(title=title) for title, chart in charts.items()))


def save(name: str, *charts: Any) -> None:  # noqa: ANN401 - altair charts have no common public type
    """Save charts as a single picture, stacked vertically."""
    combined = alt.vconcat(*charts, spacing=36, padding=MARGIN).resolve_scale(color="independent")
    notebook.styled(combined).save(str(DOCS / name), scale_factor=SCALE)


if __name__ == "__main__":
    main()
