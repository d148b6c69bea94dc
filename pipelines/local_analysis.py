"""A marimo notebook for what is loaded: events, active users, retention and funnels.

    mixpanel-source open            # read-only app
    mixpanel-source open --edit     # editor

It needs the extra `notebook`. It reads `mixpanel.duckdb` in the working directory, or the file in
MIXPANEL_DUCKDB, and never writes to it. With MIXPANEL_DESTINATION, the name of a PostgreSQL
destination, it copies the tables of that database into memory. MIXPANEL_FUNNEL is the initial
funnel: event names separated by commas.
"""

import marimo

app = marimo.App(width="medium", app_title="Mixpanel")

with app.setup:
    import os
    from collections.abc import Sequence
    from datetime import date, datetime
    from pathlib import Path
    from typing import Any

    import altair as alt
    import duckdb
    import marimo as mo

    from mixpanel_source import build_views, open_pipeline
    from mixpanel_source.errors import MixpanelError

    INK, MUTED, GRID, ACCENT, WARM = "#27303b", "#7a8594", "#e8ebef", "#3f6fae", "#e3a35c"
    PALETTE = [ACCENT, "#7fa7d6", "#5b9a82", WARM, "#a07cb0", "#c3c9d1"]
    OTHER = "all others"
    WIDTH, HEIGHT = 900, 240
    UNITS = {"day": "yearmonthdate", "week": "yearweek", "month": "yearmonth"}
    LOADED = "FROM duckdb_views() WHERE NOT internal AND database_name = 'memory'"
    MAX_ROWS = 500
    MAX_COLUMNS = 13


@app.function
def open_source() -> tuple[duckdb.DuckDBPyConnection, str]:
    """Open what the environment names: a database with the tables, and where they are from."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    if destination := os.environ.get("MIXPANEL_DESTINATION"):
        place = copy_tables(connection, destination)
    else:
        place = os.environ.get("MIXPANEL_DUCKDB", "mixpanel.duckdb")
        attach_file(connection, Path(place))
    names = {row["name"] for row in run_query(connection, "SELECT view_name AS name " + LOADED)}
    if "export" in names:
        for view, query in build_views("memory.main", []).items():
            connection.execute(f"CREATE VIEW {view} AS {query}")
    # the queries below read the tables and no other files
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection, place


@app.function
def attach_file(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Create views of all tables of a DuckDB file."""
    if not path.exists():
        message = f"{path} does not exist"
        raise FileNotFoundError(message)
    connection.execute(f"ATTACH '{str(path).replace(chr(39), chr(39) * 2)}' AS loaded (READ_ONLY)")
    tables = connection.execute(
        "SELECT table_schema, table_name FROM information_schema.tables "
        "WHERE table_catalog = 'loaded' AND table_type = 'BASE TABLE' AND table_schema IN ("
        "  SELECT table_schema FROM information_schema.tables WHERE table_name = 'export')"
    ).fetchall()
    for schema, table in tables:
        connection.execute(f'CREATE VIEW "{table}" AS FROM loaded."{schema}"."{table}"')


@app.function
def copy_tables(connection: duckdb.DuckDBPyConnection, destination: str) -> str:
    """Copy the tables of a PostgreSQL database into memory; returns where they are."""
    from adbc_driver_postgresql import dbapi  # noqa: PLC0415 - only here

    names = {
        "dataset": os.environ.get("MIXPANEL_DATASET", "mixpanel"),
        "name": os.environ.get("MIXPANEL_PIPELINE", "mixpanel"),
    }
    pipeline = open_pipeline(destination, **names)
    credentials: Any = pipeline.destination_client().config.credentials
    address = credentials.to_native_representation()
    with dbapi.connect(address) as source, source.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE' "
            "AND table_schema = $1",
            (pipeline.dataset_name,),
        )
        tables = [name for (name,) in cursor.fetchall() if not name.startswith("_dlt_")]
        for table in tables:
            cursor.execute(f'SELECT * FROM "{pipeline.dataset_name}"."{table}"')
            connection.register("copied", cursor.fetch_record_batch())
            connection.execute(f'CREATE TABLE "copy_of_{table}" AS FROM copied')
            connection.unregister("copied")
            connection.execute(f'CREATE VIEW "{table}" AS FROM "copy_of_{table}"')
    return f"{destination}, dataset {pipeline.dataset_name}"


@app.function
def run_query(
    connection: duckdb.DuckDBPyConnection, query: str, values: Sequence[object] = ()
) -> list[dict[str, Any]]:
    """Run a query and return its rows, with dates and times as ISO strings without an offset.

    Charts show them as local times, so they are displayed unchanged.
    """
    cursor = connection.execute(query, list(values))
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, map(to_json_value, row), strict=True)) for row in cursor.fetchall()]


@app.function
def to_json_value(value: object) -> object:
    """Convert a value for JSON.

    Dates become midnight, because browsers take plain dates as UTC, and show the previous day west
    of Greenwich.
    """
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat()
    if isinstance(value, date):
        return f"{value}T00:00:00"
    return value


@app.function
def draw(rows: list[dict[str, Any]], *, height: float = HEIGHT, width: float = WIDTH) -> alt.Chart:
    """Return a chart of the rows, without marks yet, in the default size."""
    return alt.Chart(alt.Data(values=rows)).properties(width=width, height=height)


@app.function
def styled(chart: alt.TopLevelMixin) -> alt.TopLevelMixin:
    """Apply the style shared by all charts."""
    return (
        chart.configure_view(stroke=None)
        .configure_axis(
            domain=False,
            ticks=False,
            grid=False,
            labelColor=MUTED,
            labelFontSize=11,
            labelPadding=6,
            title=None,
        )
        .configure_axisQuantitative(
            grid=True,
            gridColor=GRID,
            format="~s",
            tickCount=4,
            labelExpr="datum.value == 0 ? '0' : datum.label",
        )
        .configure_legend(
            orient="top",
            title=None,
            labelColor=INK,
            labelFontSize=11,
            symbolSize=70,
            labelLimit=140,
        )
        .configure_text(fontSize=11, color=INK)
        .configure_title(
            anchor="start", frame="group", color=INK, fontSize=14, subtitleColor=MUTED, offset=12
        )
    )


@app.function
def days_axis() -> alt.Axis:
    """Return an axis of days whose labels are aligned with the left edge of the bars."""
    return alt.Axis(
        format="%-d %b", labelAlign="left", labelBound=True, labelFlush=False, labelOverlap=True
    )


@app.function
def draw_events(rows: list[dict[str, Any]], unit: str = "day") -> alt.LayerChart:
    """Draw events over time as stacked bars, coloured by event."""
    names = list(dict.fromkeys(row["event"] for row in rows))
    names = [name for name in names if name != OTHER] + [name for name in names if name == OTHER]
    colours = [*PALETTE[: len(names) - (OTHER in names)], PALETTE[-1]][: len(names)]
    order = {name: number for number, name in enumerate(names)}
    return (
        draw([{**row, "rank": order[row["event"]]} for row in rows])
        .mark_bar()
        .encode(
            alt.X("since:T", timeUnit=UNITS[unit], axis=days_axis()),
            alt.Y("events:Q"),
            alt.Color("event:N", sort=names, scale=alt.Scale(domain=names, range=colours)),
            alt.Order("rank:Q"),
            tooltip=["event:N", "since:T", "events:Q", "users:Q"],
        )
    )


@app.function
def draw_bars(
    rows: list[dict[str, Any]], name: str, amount: str, label: str, *, width: float = 560
) -> alt.LayerChart:
    """Draw horizontal bars in the order of the rows, each with a label at its end."""
    base = draw(rows, height=alt.Step(26), width=width).encode(
        alt.Y(
            f"{name}:N",
            sort=None,
            axis=alt.Axis(labelColor=INK, labelLimit=220, labelFontSize=12),
            scale=alt.Scale(paddingInner=0.3),
        ),
        alt.X(f"{amount}:Q", axis=None),
    )
    bars = base.mark_bar(color=ACCENT, cornerRadiusEnd=2)
    return bars + base.mark_text(align="left", dx=6, color=MUTED).encode(text=f"{label}:N")


@app.function
def draw_active(rows: list[dict[str, Any]]) -> alt.LayerChart:
    """Draw the daily users, and the users of the 7 and 30 days that end with each day."""
    names = ["daily", "weekly", "monthly"]
    long = [
        {"event_date": row["event_date"], "span": name, "users": row[name]}
        # daily last, so that it is drawn on top
        for name in reversed(names)
        for row in rows
    ]
    scale = alt.Scale(domain=names, range=[ACCENT, "#7fa7d6", "#c3d5ea"])
    return (
        draw(long)
        .mark_line(strokeWidth=2.2)
        .encode(
            alt.X("event_date:T", axis=alt.Axis(format="%-d %b", labelOverlap=True)),
            alt.Y("users:Q"),
            alt.Color("span:N", scale=scale),
            tooltip=["event_date:T", "span:N", "users:Q"],
        )
    )


@app.function
def draw_retention(rows: list[dict[str, Any]], unit: str = "week") -> alt.LayerChart:
    """Draw a retention table: a row per first day or week, a column per day or week since then."""
    columns = alt.Axis(
        orient="top",
        labelAngle=0,
        labelExpr=f"datum.value == 0 ? 'first {unit}' : '+' + datum.value",
    )
    base = draw(rows, height=alt.Step(28), width=alt.Step(58)).encode(
        alt.X("later:O", axis=columns),
        alt.Y("first:N", sort=None, axis=alt.Axis(labelColor=INK)),
    )
    shade = alt.Scale(domain=[0, 1], range=["#f3f6fa", ACCENT])
    cells = base.mark_rect(stroke="white", strokeWidth=2, cornerRadius=3).encode(
        alt.Color("of_first:Q", scale=shade, legend=None),
        tooltip=["first:N", "later:O", "users:Q", alt.Tooltip("of_first:Q", format=".1%")],
    )
    texts = base.mark_text().encode(
        alt.Text("of_first:Q", format=".0%"),
        color=alt.condition("datum.of_first > 0.55", alt.value("white"), alt.value(INK)),
    )
    return cells + texts


@app.function
def draw_freshness(rows: list[dict[str, Any]]) -> alt.Chart:
    """Draw the events per day, coloured by whether the day is missing or can still change."""
    names = ["final", "reloaded by the next sync", "not loaded"]
    return (
        draw(rows, height=120)
        .mark_bar()
        .encode(
            alt.X("day:T", timeUnit="yearmonthdate", axis=days_axis()),
            alt.Y("events:Q"),
            alt.Color("state:N", scale=alt.Scale(domain=names, range=[ACCENT, WARM, "#c0392b"])),
            tooltip=["day:T", "events:Q", "state:N", "read_at:N"],
        )
    )


@app.function
def format_count(number: float) -> str:
    """Format a number with thousands separators."""
    return f"{number:,.0f}"


@app.cell
def _():
    try:
        database, place = open_source()
    except FileNotFoundError as _error:
        mo.stop(
            True,
            mo.callout(
                mo.md(
                    f"`{_error}`. Load your project with `mixpanel-source sync`, or a made-up one "
                    "with `mixpanel-source demo`, then run the notebook again."
                ),
                kind="warn",
            ),
        )
    except (duckdb.Error, MixpanelError) as _error:
        mo.stop(
            True,
            mo.callout(
                mo.md(f"The database cannot be read: {_error}. If a sync is running, wait for it."),
                kind="danger",
            ),
        )
    tables = [row["name"] for row in run_query(database, "SELECT view_name AS name " + LOADED)]
    mo.stop(
        "export" not in tables or not run_query(database, "SELECT 1 AS one FROM export LIMIT 1"),
        mo.callout(mo.md(f"No events in `{place}` yet: `mixpanel-source sync`."), kind="warn"),
    )
    return database, place, tables


@app.cell
def _(database, place):
    (_total,) = run_query(
        database,
        "SELECT count(*) AS events, count(DISTINCT nullif(distinct_id, '')) AS users, "
        "min(event_date) AS first, max(event_date) AS last, max(time) AS newest FROM export",
    )
    (_loaded,) = run_query(
        database,
        "SELECT max(fetched_at) AS at, date_diff('hour', max(fetched_at), now()) AS hours "
        "FROM _mixpanel_loads WHERE table_name = 'export'",
    )
    mo.vstack(
        [
            mo.md(f"# What happened\n`{place}`"),
            mo.hstack(
                [
                    mo.stat(format_count(_total["events"]), label="events", bordered=True),
                    mo.stat(format_count(_total["users"]), label="users", bordered=True),
                    mo.stat(
                        _total["last"][:10],
                        label="newest day",
                        caption=f"first: {_total['first'][:10]}",
                        bordered=True,
                    ),
                    mo.stat(
                        f"{_loaded['hours']} h ago",
                        label="last download from Mixpanel",
                        caption=f"{_loaded['at'][:16].replace('T', ' ')} UTC",
                        bordered=True,
                    ),
                ],
                widths="equal",
            ),
        ]
    )
    return


@app.cell
def _(database):
    (_ends,) = run_query(
        database, "SELECT min(event_date) AS first, max(event_date) AS last FROM export"
    )
    days = mo.ui.date_range(start=_ends["first"][:10], stop=_ends["last"][:10], label="Days")
    unit = mo.ui.dropdown(list(UNITS), value="day", label="by")
    mo.hstack([days, unit], justify="start")
    return days, unit


@app.cell
def _(database, days, unit):
    over_time = run_query(
        database,
        f"""
        WITH named AS (
            SELECT *, event_date BETWEEN ? AND ? AS wanted FROM export
        ),
        top AS (
            SELECT event, count(*) AS n FROM named WHERE wanted GROUP BY event
            ORDER BY n DESC, event LIMIT {len(PALETTE) - 1}
        )
        SELECT
            CAST(date_trunc('{unit.value}', event_date) AS date) AS since,
            coalesce(top.event, '{OTHER}') AS event,
            count(*) AS events,
            count(DISTINCT nullif(distinct_id, '')) AS users
        FROM named LEFT JOIN top ON top.event = named.event
        WHERE wanted
        GROUP BY ALL
        ORDER BY max(top.n) DESC NULLS LAST, event, since
        """,
        days.value,
    )
    mo.vstack([mo.md("## Events over time"), styled(draw_events(over_time, unit.value))])
    return


@app.cell
def _(database, days):
    top_events = run_query(
        database,
        """
        SELECT
            event,
            count(*) AS events,
            format(
                '{:,}  ·  {:,} users', count(*), count(DISTINCT nullif(distinct_id, ''))
            ) AS label
        FROM export
        WHERE event_date BETWEEN ? AND ?
        GROUP BY event ORDER BY events DESC, event LIMIT 12
        """,
        days.value,
    )
    mo.vstack([mo.md("## Top events"), styled(draw_bars(top_events, "event", "events", "label"))])
    return


@app.cell
def _(database, days):
    active = run_query(
        database,
        "SELECT * FROM active_users WHERE event_date BETWEEN ? AND ? ORDER BY event_date",
        days.value,
    )
    mo.vstack(
        [
            mo.md(
                "## Active users\nUsers with an event on the day, and in the 7 and 30 days that "
                "end with it."
            ),
            styled(draw_active(active)),
        ]
    )
    return


@app.cell
def _():
    span = mo.ui.dropdown(
        {"day": "retention_by_day", "week": "retention_by_week"}, value="day", label="by"
    )
    mo.vstack(
        [
            mo.md(
                "## Retention\nShare of the users with their first event on a day, or in a week, "
                "who came back on each later one. The newest day or week may be incomplete."
            ),
            span,
        ]
    )
    return (span,)


@app.cell
def _(database, span):
    _unit = span.selected_key
    retention = run_query(
        database,
        f"""
        SELECT
            strftime(first_{_unit}, '%-d %b') || '  ·  '
                || format('{{:,}}', max(users) OVER (PARTITION BY first_{_unit})) AS first,
            {_unit}s_later AS later,
            users,
            of_first
        FROM {span.value}
        WHERE {_unit}s_later < {MAX_COLUMNS} AND first_{_unit} IN (
            SELECT first_{_unit} FROM {span.value} WHERE {_unit}s_later = 0
            ORDER BY users DESC LIMIT {MAX_COLUMNS}
        )
        ORDER BY first_{_unit}, later
        """,
    )
    styled(draw_retention(retention, _unit))
    return


@app.cell
def _(database):
    _names = [
        row["event"]
        for row in run_query(
            database,
            "SELECT event, sum(events) AS n FROM events_by_day WHERE event IS NOT NULL "
            "GROUP BY event ORDER BY n DESC, event",
        )
    ]
    _wanted = [name.strip() for name in os.environ.get("MIXPANEL_FUNNEL", "").split(",")]
    _first = [name for name in _wanted if name in _names] or _names[:4]
    steps = mo.ui.array(
        [
            mo.ui.dropdown(_names, value=_first[number] if number < len(_first) else None)
            for number in range(6)
        ]
    )
    within = mo.ui.slider(1, 90, value=30, label="days from first to last", show_value=True)
    mo.vstack(
        [
            mo.md("## Funnel\nUsers who performed these events in order. Choose the steps below."),
            steps.hstack(wrap=True, justify="start"),
            within,
        ]
    )
    return steps, within


@app.cell
def _(database, steps, within):
    _chosen = list(dict.fromkeys(name for name in steps.value if name))
    mo.stop(len(_chosen) < 2, mo.md("Choose two events or more."))
    _query = build_views("memory.main", [], funnel=_chosen, funnel_days=within.value)["funnel"]
    funnel = run_query(
        database,
        f"""
        SELECT
            step || '  ' || event AS name,
            users,
            format('{{:,}} users', users)
            || CASE WHEN step = 1 THEN ''
                ELSE format('  ·  {{:.0f}} % of first', 100 * of_first) END
            || CASE WHEN step < 3 THEN ''
                ELSE format('  ·  {{:.0f}} % of the step before', 100 * of_previous) END AS label
        FROM ({_query}) ORDER BY step
        """,
    )
    styled(draw_bars(funnel, "name", "users", "label"))
    return


@app.cell
def _(database, tables):
    mo.stop(
        "engage" not in tables,
        mo.md("## Profiles\nNot loaded: `mixpanel-source sync --tables engage`."),
    )
    _columns = run_query(
        database,
        "SELECT property, column_name FROM _mixpanel_columns "
        "WHERE table_name = 'engage' AND data_type IN ('text', 'bool', 'bigint') ORDER BY 1, 2",
    )
    # a property with different values in nearly all profiles is useless as a breakdown
    _counts = {
        column["property"]: run_query(
            database,
            f'SELECT approx_count_distinct("{column["column_name"]}") AS n, '
            f'count("{column["column_name"]}") AS known FROM engage',
        )[0]
        for column in _columns
    }
    _useful = {
        column["property"]: column["column_name"]
        for column in _columns
        if 1 < _counts[column["property"]]["n"] <= max(1, _counts[column["property"]]["known"] / 2)
    }
    mo.stop(not _useful, mo.md("## Profiles\nNo property has values that several profiles share."))
    _best = min(_useful, key=lambda name: abs(_counts[name]["n"] - 8))
    breakdown = mo.ui.dropdown(_useful, value=_best, label="Profiles by")
    mo.vstack([mo.md("## Profiles"), breakdown])
    return (breakdown,)


@app.cell
def _(breakdown, database):
    profiles = run_query(
        database,
        f"""
        SELECT
            coalesce(CAST("{breakdown.value}" AS text), '(none)') AS name,
            count(*) AS profiles,
            format('{{:,}}  ·  {{:.0f}} %', profiles, 100 * profiles / sum(count(*)) OVER ())
            AS label
        FROM engage GROUP BY name ORDER BY profiles DESC, name LIMIT 12
        """,
    )
    styled(draw_bars(profiles, "name", "profiles", "label"))
    return


@app.cell
def _(database):
    freshness = run_query(
        database,
        """
        WITH days AS (
            SELECT CAST(unnest(generate_series(min(event_date), max(event_date), INTERVAL 1 DAY))
                AS date) AS day
            FROM export WHERE event_date > current_date - 400
        ),
        loaded AS (
            SELECT day, max(is_final) AS is_final, max(fetched_at) AS read_at
            FROM days JOIN _mixpanel_loads
                ON table_name = 'export' AND day BETWEEN first_day AND last_day
            GROUP BY day
        ),
        counted AS (SELECT event_date, count(*) AS events FROM export GROUP BY event_date)
        SELECT
            days.day,
            coalesce(events, 0) AS events,
            read_at,
            CASE WHEN read_at IS NULL THEN 'not loaded' WHEN is_final THEN 'final'
                ELSE 'reloaded by the next sync' END AS state
        FROM days LEFT JOIN loaded ON loaded.day = days.day
        LEFT JOIN counted ON counted.event_date = days.day
        ORDER BY days.day
        """,
    )
    _gaps = [row["day"][:10] for row in freshness if row["state"] == "not loaded"]
    mo.vstack(
        [
            mo.md(
                "## Freshness\n"
                + (f"Missing days: {', '.join(_gaps)}." if _gaps else "No day is missing.")
            ),
            styled(draw_freshness(freshness)),
        ]
    )
    return


@app.cell
def _(tables):
    query = mo.ui.code_editor(
        "SELECT first_event, count(*) AS sessions, round(median(duration_s) / 60, 1) AS minutes\n"
        "FROM sessions GROUP BY ALL ORDER BY sessions DESC",
        language="sql",
        min_height=60,
    )
    mo.vstack(
        [
            mo.md(
                "## Query\nTables and views: "
                + ", ".join(f"`{name}`" for name in sorted(tables))
                + "."
            ),
            query,
        ]
    )
    return (query,)


@app.cell
def _(database, query):
    try:
        result = run_query(
            database, f"SELECT * FROM ({query.value.rstrip().rstrip(';')}\n) LIMIT {MAX_ROWS}"
        )
        _shown = mo.ui.table(result, selection=None)
    except duckdb.Error as error:
        result = []
        _shown = mo.callout(str(error), kind="danger")
    _shown
    return


if __name__ == "__main__":
    app.run()
