"""Lexicon descriptions as comments on columns."""

from __future__ import annotations

import pytest

from mixpanel_sandbox import Project, made_up_project
from mixpanel_source.destinations.registry import destination_of
from mixpanel_source.jobs.column_comments import (
    Description,
    describe_columns,
    write_comments,
)
from tests.support.lab import Lab
from tests.support.projects import YESTERDAY


@pytest.fixture
def project() -> Project:
    """A day of the made-up shop, with its Lexicon."""
    return made_up_project(last_day=YESTERDAY, days=1)


@pytest.fixture
def shop(any_lab: Lab) -> Lab:
    """The shop, to be loaded to each of the destinations."""
    any_lab.overrides = {"anchor_date": YESTERDAY}
    return any_lab


def comments(lab: Lab) -> dict[tuple[str, str], str]:
    """Table and column -> comment, where there is one."""
    with lab.pipeline.sql_client() as client:
        query = destination_of(lab.pipeline).comments_query
        assert query is not None
        rows = client.execute_sql(query.format(schema=f"'{client.dataset_name}'")) or ()
    return {(table, column): text for table, column, text in rows if text is not None}


def test_lexicon_describes_columns(shop: Lab) -> None:
    """After a sync with the Lexicon, columns of described properties have comments."""
    shop.sync("export", "engage", "lexicon")
    found = comments(shop)
    assert found["export", "cart_total"] == "Sum of the prices in EUR."
    assert found["export", "price"] == "In EUR."
    assert found["engage", "plan"] == "free, plus or pro."
    assert found["engage", "lifetime_value"] == "Spent so far, in EUR."


def test_only_changed_descriptions_are_written(shop: Lab) -> None:
    """Unchanged comments are not written again, and those of others stay."""
    shop.sync("export", "engage", "lexicon")
    with shop.pipeline.sql_client() as client:
        table = client.make_qualified_table_name("engage")
        client.execute_sql(f"COMMENT ON COLUMN {table}.profile_key IS 'ours'")
    assert write_comments(shop.pipeline) == 0
    for entity in shop.project.schemas:
        if entity["entityType"] == "profile":
            entity["schemaJson"]["properties"]["plan"]["description"] = (
                "What they pay; it's theirs."
            )
    shop.sync("engage", "lexicon")
    found = comments(shop)
    assert found["engage", "plan"] == "What they pay; it's theirs."
    assert found["engage", "profile_key"] == "ours"


def test_lexicon_alone_needs_no_other_table(shop: Lab, caplog: pytest.LogCaptureFixture) -> None:
    """Without the tables that it describes there are no comments, and no warning."""
    assert shop.sync("lexicon").failures == {}
    assert comments(shop) == {}
    assert "comments" not in caplog.text


def test_schema_without_a_name_is_named_by_its_type(shop: Lab) -> None:
    """Where two schemas describe a property differently, the comment has both texts."""
    (profile,) = (entity for entity in shop.project.schemas if entity["entityType"] == "profile")
    schema = {"properties": {"plan": {"type": "string", "description": "What they pay."}}}
    shop.project.schemas.append({**profile, "name": None, "schemaJson": schema})
    assert shop.sync("engage", "lexicon").failures == {}
    both = "$user: free, plus or pro.\nprofile: What they pay."
    assert comments(shop)["engage", "plan"] == both


def test_differing_descriptions_name_their_events() -> None:
    """Different descriptions of one property are all listed; equal ones appear once."""
    lexicon = [
        Description("event", "Order", "price", "Sum."),
        Description("event", "View", "price", "Of one piece."),
        Description("event", "Order", "plan", "Free or not."),
        Description("event", "View", "plan", "Free or not."),
        Description("event", "View", "browser", None),
        Description("profile", "$user", "price", "What they pay."),
        Description("group", "company", "price", "Nothing of ours."),
    ]
    columns = [
        ("export", "price", "price"),
        ("export", "price", "price__v_text"),
        ("export", "plan", "plan"),
        ("export", "browser", "browser"),
        ("engage", "price", "price"),
    ]
    assert describe_columns(lexicon, columns) == {
        ("export", "price"): "Order: Sum.\nView: Of one piece.",
        ("export", "price__v_text"): "Order: Sum.\nView: Of one piece.",
        ("export", "plan"): "Free or not.",
        ("engage", "price"): "What they pay.",
    }
