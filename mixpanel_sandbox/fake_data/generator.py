"""A made-up project: a shop's events, profiles and reports, awkward in the ways real ones are."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta, timezone

from ..messages import json_bytes
from ..project import Project
from .saved_objects import add_saved
from .shop import Properties, Shopper, describe_event, make_shopper, make_uuid, make_visit

EVENTS_A_DAY = 290
GROWTH_A_DAY = 0.004
NOISE = (0.93, 1.07)
# Monday to Sunday
WEEKDAYS = (0.95, 0.9, 0.95, 1.0, 1.05, 1.15, 1.05)
DAY_S = 86_400
# most visits are in the evening
BUSIEST_S = 70_000

SHOPPERS_BEFORE = 160
SHOPPERS_A_DAY = 3
DAYS_BEFORE = 90

ANONYMOUS = 0.25
NAMELESS = 0.01
LATE = 0.02
KNOWN = 0.9
DUPLICATES_A_DAY = 2
FROM_SERVER = frozenset({"Order Completed", "Plan Upgraded"})

FIRST_COHORT_ID = 1000
BIG_SPENDER = 200


def made_up_project(*, last_day: date, days: int = 30, seed: int = 7) -> Project:
    """Return a project with the data of a small shop: about 300 events a day, 250 profiles.

    The same arguments give the same bytes. With the same first day and the same seed, a longer
    project repeats the events of a shorter one and adds days to them.

    Args:
        last_day: UTC date of the newest events.
        days: How many days have events, `last_day` included.
        seed: Another seed is another shop.
    """
    first_day = last_day - timedelta(days=days - 1)
    rng = random.Random(seed)
    shoppers = [
        make_shopper(rng, first_day - timedelta(days=rng.randint(1, DAYS_BEFORE)))
        for _ in range(SHOPPERS_BEFORE)
    ]
    project = Project()
    for number in range(days):
        day = first_day + timedelta(days=number)
        dice = random.Random(f"{seed} {day}")
        shoppers += [make_shopper(dice, day) for _ in range(SHOPPERS_A_DAY)]
        size = EVENTS_A_DAY * (1 + GROWTH_A_DAY * number) * WEEKDAYS[day.weekday()]
        project.events[day] = _make_day(dice, day, round(size * dice.uniform(*NOISE)), shoppers)
    for shopper in shoppers:
        project.add_profile(shopper.distinct_id, _describe_shopper(shopper, last_day))
    _add_cohorts(project, shoppers, last_day)
    add_saved(project, last_day)
    return project


def _make_day(rng: random.Random, day: date, size: int, shoppers: Sequence[Shopper]) -> list[bytes]:
    """Return at least `size` events of a day as lines, in no order, some of them twice."""
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
            # the visit ends at midnight: all of it is filed under this day
            moment = min(moment + rng.randint(2, 180), _midnight(day) + DAY_S - 1)
    events += [_serve_again(rng, event) for event in rng.sample(events, DUPLICATES_A_DAY)]
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
    if name in FROM_SERVER:
        properties |= {"$import": True, "mp_lib": "python", "$lib_version": "4.10.1"}
    else:
        properties |= {**_describe_device(rng, shopper), "mp_lib": "web", "$lib_version": "2.55.1"}
    return {"event": name, "properties": properties | describe_event(name, rng)}


def _identify(rng: random.Random, shopper: Shopper | None) -> Properties:
    if shopper is None:
        device_id = make_uuid(rng)
        return {"distinct_id": f"$device:{device_id}", "$device_id": device_id}
    if rng.random() < NAMELESS:
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


def _serve_again(rng: random.Random, event: Properties) -> Properties:
    """Return the event as a retry of the app stored it: the same, processed later."""
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
    # profiles have what was ever set on them, not all of the same
    return {
        name: value
        for name, value in described.items()
        if name.startswith("$") or rng.random() < KNOWN
    }


def _add_cohorts(project: Project, shoppers: Sequence[Shopper], last_day: date) -> None:
    month_ago = last_day - timedelta(days=30)
    members = {
        "Big spenders": [one.distinct_id for one in shoppers if one.spent > BIG_SPENDER],
        "New this month": [one.distinct_id for one in shoppers if one.joined > month_ago],
        # the last one was seen, but never had a profile
        "Paying": [one.distinct_id for one in shoppers if one.plan != "free"] + ["no-profile"],
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
    return _midnight(day) + int(rng.triangular(0, DAY_S, BUSIEST_S))


def _midnight(day: date) -> int:
    return int(datetime.combine(day, time(), timezone.utc).timestamp())
