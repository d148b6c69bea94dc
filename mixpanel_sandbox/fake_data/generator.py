"""Generates the made-up project."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta, timezone

from ..messages import json_bytes
from ..project import Project
from .saved_objects import add_saved_objects
from .shop import Properties, Shopper, describe_event, make_shopper, make_uuid, make_visit

EVENTS_PER_DAY = 290
GROWTH_PER_DAY = 0.004
NOISE = (0.93, 1.07)
"""Bounds of the random factor on the events of a day."""
WEEKDAYS = (0.95, 0.9, 0.95, 1.0, 1.05, 1.15, 1.05)
"""Factors on the events of a day, Monday to Sunday."""
DAY_S = 86_400
PEAK_S = 70_000
"""Seconds after midnight UTC with the most visits: in the evening."""

INITIAL_SHOPPERS = 160
NEW_SHOPPERS_PER_DAY = 3
DAYS_BEFORE_START = 90

ANONYMOUS = 0.25
"""Share of visits without a login."""
EMPTY_ID = 0.01
"""Share of events of known shoppers with an empty distinct id."""
LATE = 0.02
"""Share of events received up to two hours late."""
PROPERTY_IS_SET = 0.9
"""Share of custom profile properties that are set."""
DUPLICATES_PER_DAY = 2
SERVER_SIDE = frozenset({"Order Completed", "Plan Upgraded"})

FIRST_COHORT_ID = 1000
BIG_SPENDER_EUR = 200


def made_up_project(*, last_day: date, days: int = 30, seed: int = 7) -> Project:
    """Generate the project of a small shop: about 300 events per day, 250 profiles.

    The same arguments give the same bytes. With the same first day and seed, a longer project has
    the events of a shorter one and further days.

    Args:
        last_day: UTC date of the newest events.
        days: Number of days with events, `last_day` included.
        seed: Random seed.
    """
    first_day = last_day - timedelta(days=days - 1)
    rng = random.Random(seed)
    shoppers = [
        make_shopper(rng, first_day - timedelta(days=rng.randint(1, DAYS_BEFORE_START)))
        for _ in range(INITIAL_SHOPPERS)
    ]
    project = Project()
    for number in range(days):
        day = first_day + timedelta(days=number)
        day_rng = random.Random(f"{seed} {day}")
        shoppers += [make_shopper(day_rng, day) for _ in range(NEW_SHOPPERS_PER_DAY)]
        size = EVENTS_PER_DAY * (1 + GROWTH_PER_DAY * number) * WEEKDAYS[day.weekday()]
        size = round(size * day_rng.uniform(*NOISE))
        project.events[day] = _make_day(day_rng, day, size, shoppers)
    for shopper in shoppers:
        project.add_profile(shopper.distinct_id, _describe_shopper(shopper, last_day))
    _add_cohorts(project, shoppers, last_day)
    add_saved_objects(project, last_day)
    return project


def _make_day(rng: random.Random, day: date, size: int, shoppers: Sequence[Shopper]) -> list[bytes]:
    """Return at least `size` events of a day as lines, unordered, with duplicates."""
    events = [
        _make_event(rng, _pick_moment(rng, day), shopper, "Signed up")
        for shopper in shoppers
        if shopper.joined == day
    ]
    while len(events) < size:
        shopper = None if rng.random() < ANONYMOUS else rng.choice(shoppers)
        moment = _pick_moment(rng, day)
        for name in make_visit(rng):
            events.append(_make_event(rng, moment, shopper, name))
            # clamped to the end of the day, under which all events are stored
            moment = min(moment + rng.randint(2, 180), _midnight(day) + DAY_S - 1)
    events += [_duplicate(rng, event) for event in rng.sample(events, DUPLICATES_PER_DAY)]
    rng.shuffle(events)
    return [json_bytes(event) for event in events]


def _make_event(rng: random.Random, moment: int, shopper: Shopper | None, name: str) -> Properties:
    received_ms = moment * 1000 + rng.randint(200, 4000)
    if rng.random() < LATE:
        received_ms += rng.randint(60, 7200) * 1000
    properties: Properties = {
        "time": moment,
        **_identify(rng, shopper),
        "$insert_id": f"{rng.getrandbits(64):016x}",
        "$mp_api_endpoint": "api.mixpanel.com",
        "$mp_api_timestamp_ms": received_ms,
        "mp_processing_time_ms": received_ms + rng.randint(80, 900),
        "clientTime": datetime.fromtimestamp(moment, tz=timezone.utc).isoformat(),
    }
    if name in SERVER_SIDE:
        properties |= {"$import": True, "mp_lib": "python", "$lib_version": "4.10.1"}
    else:
        properties |= {**_describe_device(rng, shopper), "mp_lib": "web", "$lib_version": "2.55.1"}
    return {"event": name, "properties": properties | describe_event(name, rng)}


def _identify(rng: random.Random, shopper: Shopper | None) -> Properties:
    if shopper is None:
        device_id = make_uuid(rng)
        return {"distinct_id": f"$device:{device_id}", "$device_id": device_id}
    if rng.random() < EMPTY_ID:
        return {"distinct_id": ""}
    distinct_id = shopper.distinct_id
    return {"distinct_id": distinct_id, "$user_id": distinct_id, "$device_id": shopper.device_id}


def _describe_device(rng: random.Random, shopper: Shopper | None) -> Properties:
    described: Properties = {
        "sessionId": f"{rng.getrandbits(40):010x}",
        "device": {"kind": rng.choice(("phone", "laptop")), "screen": {"dpi": 2, "hdr": None}},
        "experiments": rng.choice(([], ["new-checkout"], ["new-checkout", "búsqueda"])),
    }
    if shopper is None:
        return described | {"$browser": "Chrome", "$os": None, "mp_country_code": "US"}
    city, region, country = shopper.place
    browser, system = shopper.browser
    return described | {
        "$browser": browser,
        "$browser_version": rng.choice((128, 129.1)),
        "$os": system,
        "$city": city,
        "$region": region,
        "mp_country_code": country,
    }


def _duplicate(rng: random.Random, event: Properties) -> Properties:
    """Return the event as stored after a retry by the app: equal, but processed later."""
    properties: Properties = event["properties"]
    later_ms = properties["mp_processing_time_ms"] + rng.randint(1_000, 60_000)
    return {**event, "properties": {**properties, "mp_processing_time_ms": later_ms}}


def _describe_shopper(shopper: Shopper, last_day: date) -> Properties:
    rng = random.Random(shopper.distinct_id)
    seen = min(last_day, shopper.joined + timedelta(days=rng.randrange(120)))
    city, region, country = shopper.place
    points = rng.randrange(500)
    described: Properties = {
        "$name": shopper.name,
        "$email": shopper.email,
        "$created": f"{shopper.joined}T{rng.randrange(24):02d}:10:00",
        "$last_seen": f"{seen}T{rng.randrange(24):02d}:40:00",
        "$city": city,
        "$region": region,
        "$country_code": country,
        "plan": shopper.plan,
        "lifetimeValue": shopper.spent,
        "Favourite Categories": rng.sample(("Kitchen", "Decor", "Outdoor"), rng.randrange(3)),
        "loyalty points": rng.choice((points, points, str(points))),
        "newsletter": rng.choice((True, False, None)),
    }
    # profiles only have the properties that were ever set, which differ
    return {
        name: value
        for name, value in described.items()
        if name.startswith("$") or rng.random() < PROPERTY_IS_SET
    }


def _add_cohorts(project: Project, shoppers: Sequence[Shopper], last_day: date) -> None:
    month_ago = last_day - timedelta(days=30)
    big_spenders = [shopper for shopper in shoppers if shopper.spent > BIG_SPENDER_EUR]
    new = [shopper for shopper in shoppers if shopper.joined > month_ago]
    paying = [shopper for shopper in shoppers if shopper.plan != "free"]
    members = {
        "Big spenders": [shopper.distinct_id for shopper in big_spenders],
        "New this month": [shopper.distinct_id for shopper in new],
        # cohorts can have members without a profile
        "Paying": [*(shopper.distinct_id for shopper in paying), "no-profile"],
        "Empty cohort": [],
    }
    for cohort_id, (name, ids) in enumerate(members.items(), FIRST_COHORT_ID):
        project.cohort_members[cohort_id] = ids
        project.cohorts.append(
            {
                "id": cohort_id,
                "project_id": project.project_id,
                "name": name,
                "description": "",
                "count": len(ids),
                "is_visible": int(bool(ids)),
                "created": f"{last_day - timedelta(days=200)} 15:57:43",
                "data_group_id": None,
            }
        )


def _pick_moment(rng: random.Random, day: date) -> int:
    return _midnight(day) + int(rng.triangular(0, DAY_S, PEAK_S))


def _midnight(day: date) -> int:
    return int(datetime.combine(day, time(), timezone.utc).timestamp())
