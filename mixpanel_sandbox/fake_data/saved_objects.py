"""What users saved in the made-up project: funnels, reports, annotations, schemas and more."""

from __future__ import annotations

from copy import deepcopy
from datetime import date, timedelta
from typing import Any

from ..messages import json_bytes
from ..project import Project
from .managed_objects import add_managed_objects, add_undocumented_objects

GROUP_KEY = "-1405123841946871899"
"""A `data_group_id`: a signed 64-bit integer, served as a string."""

FUNNELS = [
    {
        "funnel_id": 7509,
        "name": "Purchase",
        "steps": ["Product Viewed", "Added to Cart", "Order Completed"],
        "length": 7,
    },
    {
        "funnel_id": 9070,
        "name": "From search to cart",
        "steps": ["search", "Added to Cart"],
        "length": 1,
    },
]
BOOKMARKS: dict[int, dict[str, Any]] = {
    88001: {
        "name": "Orders and sign-ups",
        "events": ["Order Completed", "Signed up"],
        "on": [],
        "days": 14,
        "unit": "day",
    },
    88002: {
        "name": "Pages by browser",
        "events": ["Page Viewed"],
        "on": ["$browser"],
        "days": 28,
        "unit": "week",
    },
}
SCHEMAS: list[dict[str, Any]] = [
    {
        "entityType": "event",
        "name": "Order Completed",
        "schemaJson": {
            "description": "Somebody paid; sent by the server.",
            "properties": {
                "cartTotal": {"type": "number", "description": "Sum of the prices in EUR."},
                "is_gift": {"type": "boolean"},
                "items": {"type": "array", "description": "What was bought, one object a line."},
            },
            "metadata": {
                "com.mixpanel": {"displayName": "Order", "tags": ["revenue"], "hidden": False}
            },
        },
    },
    {
        "entityType": "event",
        "name": "Product Viewed",
        "schemaJson": {
            "description": "A product's page was opened: “Fjord”, 日本, …",
            "properties": {
                "price": {
                    "type": "number",
                    "description": "In EUR.",
                    "metadata": {"com.mixpanel": {"displayName": "Price", "hidden": False}},
                },
                "größe": {"type": "string"},
            },
        },
    },
    {
        "entityType": "profile",
        "name": "$user",
        "schemaJson": {
            "description": "Somebody who signed up.",
            "properties": {
                "plan": {"type": "string", "description": "free, plus or pro."},
                "lifetimeValue": {"type": "number", "description": "Spent so far, in EUR."},
            },
        },
    },
]
LOOKUP_TABLES = [
    {"id": "0a7f1d1c-5a3e-4f0e-9a65-1a3b5c7d9e01", "name": "Product Catalogue"},
    {"id": "5e0c2b4a-8d1f-4c3b-b1e7-2f4d6a8c0e13", "name": "Shops"},
]
PIPELINE = "events-daily-bigquery-monoschema"
RUNS = ("succeeded", "succeeded", "failed", "pending")
"""States of the pipeline runs, oldest day first."""


def add_saved_objects(project: Project, last_day: date) -> None:
    """Add funnels, reports, annotations, schemas, lookup tables, a pipeline and a group.

    Args:
        project: The project to add them to, as copies.
        last_day: UTC date of the newest of them.
    """
    project.funnels = deepcopy(FUNNELS)
    project.bookmarks = deepcopy(BOOKMARKS)
    project.schemas = deepcopy(SCHEMAS)
    project.lookup_tables = deepcopy(LOOKUP_TABLES)
    _add_annotations(project, last_day)
    _add_pipeline(project, last_day)
    add_managed_objects(project, last_day)
    add_undocumented_objects(project, last_day)
    project.groups[GROUP_KEY] = [
        json_bytes({"$distinct_id": name, "$properties": {"$name": title, "seats": seats}})
        for name, title, seats in (("acme", "Acme GmbH", 12), (4711, "Blåbær AS", "40"))
    ]


def _add_annotations(project: Project, last_day: date) -> None:
    release, campaign = ({"id": 7, "name": "release"}, {"id": 8, "name": "campaign"})
    ada, noor = (
        {"id": 1, "first_name": "Ada", "last_name": "Okafor"},
        {"id": 2, "first_name": "Noor", "last_name": "Diaz"},
    )
    notes: tuple[tuple[int, str, str, dict[str, Any], list[dict[str, Any]]], ...] = (
        (12, "09:00:00+01:00", "New checkout is live", ada, [release]),
        (5, "12:30:00+00:00", "Herbst-Aktion: 20 %", noor, [campaign, release]),
        (1, "23:45:00-08:00", "Prices of tents were wrong for an hour", ada, []),
    )
    project.annotations = [
        {
            "id": 640999 + number,
            "project_id": project.project_id,
            "date": f"{last_day - timedelta(days=days_ago)}T{time}",
            "description": description,
            "user": dict(user),
            "tags": [dict(tag) for tag in tags],
        }
        for number, (days_ago, time, description, user, tags) in enumerate(notes)
    ]
    project.annotation_tags = [
        {**tag, "project_id": project.project_id, "has_annotations": attached}
        for tag, attached in ((release, True), (campaign, True), ({"id": 9, "name": "bug"}, False))
    ]


def _add_pipeline(project: Project, last_day: date) -> None:
    project.pipelines = [
        {
            "name": PIPELINE,
            "Dispatcher": "backfill",
            "last_dispatched": f"{last_day} 12:00:00 US/Pacific",
            "frequency": "daily",
            "sync_enabled": "true",
        }
    ]
    days = [last_day - timedelta(days=ago) for ago in reversed(range(len(RUNS)))]
    project.pipeline_runs = {
        PIPELINE: [
            {
                "project_id": project.project_id,
                "name": PIPELINE,
                "state": state,
                "last_finish": f"{day} 14:27:46.044605 -0800 PST" if state != "pending" else "",
                "run_at": f"{day} 14:20:00 -0800 PST",
                "from_date": f"{day}",
                "to_date": f"{day}",
            }
            for day, state in zip(days, RUNS, strict=True)
        ]
    }
