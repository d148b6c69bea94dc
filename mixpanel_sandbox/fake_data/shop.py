"""The made-up shop: its customers, its products and the events of its app."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

Properties = dict[str, Any]

# integers and fractions, as the app sends them
PRODUCTS = (
    ("MUG-01", "Enamel mug", "Kitchen", 14),
    ("KET-02", "Pour-over kettle", "Kitchen", 59.9),
    ("POS-03", "Poster “Fjord”", "Decor", 24.99),
    ("LAM-04", "Desk lamp", "Decor", 80),
    ("TEN-05", "Two-person tent", "Outdoor", 219),
    ("BAG-06", "Sleeping bag", "Outdoor", 129.5),
    ("SOC-07", "Wool socks", "Clothing", 12.5),
    ("JAC-08", "Rain jacket", "Clothing", 149),
    ("TEE-09", "T-shirt 日本", "Clothing", 25),
    ("NOT-10", "Notebook", "Office", 9.95),
)
PLACES = (
    ("Berlin", "Land Berlin", "DE"),
    ("München", "Bavaria", "DE"),
    ("Oslo", "Oslo County", "NO"),
    ("Austin", "Texas", "US"),
    ("San Francisco", "California", "US"),
    ("São Paulo", "São Paulo", "BR"),
    ("Bengaluru", "Karnataka", "IN"),
    ("東京", "Tokyo", "JP"),
)
BROWSERS = (
    ("Chrome", "Windows"),
    ("Chrome", "Android"),
    ("Safari", "Mac OS X"),
    ("Mobile Safari", "iOS"),
    ("Firefox", "Linux"),
)
FIRST_NAMES = ("Ada", "Zoë", "Łukasz", "Priya", "Mateo", "Ingrid", "美咲", "Noor", "Sam", "Björn")
LAST_NAMES = ("Okafor", "Nguyen", "Müller", "Rossi", "Sørensen", "Patel", "O'Brien", "Sato", "Diaz")
PLANS = ("free", "free", "free", "plus", "pro")
CHANNELS = ("newsletter", "google", "instagram", None, None)


@dataclass(frozen=True)
class Shopper:
    """A customer with a profile."""

    distinct_id: str
    device_id: str
    name: str
    joined: date
    place: tuple[str, str, str]
    browser: tuple[str, str]
    plan: str
    spent: float

    @property
    def email(self) -> str:
        """An address in a reserved domain."""
        return f"{self.distinct_id[:8]}@example.com"


def make_shopper(rng: random.Random, joined: date) -> Shopper:
    """Return a shopper who signed up on the given day."""
    return Shopper(
        distinct_id=make_uuid(rng),
        device_id=make_uuid(rng),
        name=f"{rng.choice(FIRST_NAMES)} {rng.choice(LAST_NAMES)}",
        joined=joined,
        place=rng.choice(PLACES),
        browser=rng.choice(BROWSERS),
        plan=rng.choice(PLANS),
        spent=round(rng.expovariate(1 / 120), 2),
    )


def make_uuid(rng: random.Random) -> str:
    """Return a UUID that depends only on the random generator."""
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def make_visit(rng: random.Random) -> list[str]:
    """Return the names of the events of a visit, in order; each step loses some visitors."""
    steps = [rng.choice(("Page Viewed", "Page Viewed", "appOpened", "search"))]
    for name, chance in (
        ("Product Viewed", 0.75),
        ("Product Viewed", 0.6),
        ("Added to Cart", 0.5),
        ("Checkout Started", 0.6),
        ("Order Completed", 0.75),
    ):
        if rng.random() > chance:
            return steps
        steps.append(name)
    extra = rng.choice(("Review Written", "Plan Upgraded", "Page Viewed"))
    return [*steps, extra]


def describe_event(name: str, rng: random.Random) -> Properties:
    """Return the custom properties of an event."""
    return _DESCRIBERS[name](rng)


def _page_viewed(rng: random.Random) -> Properties:
    page = rng.choice(("/", "/sale", "/über-uns", "/help"))
    return {
        "$current_url": f"https://shop.example{page}",
        "$referrer": rng.choice(("https://www.google.com/", "$direct")),
        "$screen_height": rng.choice((800, 1080, 1440)),
        "utm_source": rng.choice(CHANNELS),
    }


def _product_viewed(rng: random.Random) -> Properties:
    sku, name, category, price = rng.choice(PRODUCTS)
    return {
        "productId": sku,
        "Product Name": name,
        "category": category,
        "price": price,
        "tags": rng.sample(("new", "sale", "eco", "últimos"), rng.randrange(3)),
        "größe": rng.choice(("S", "M", "L", None)),
    }


def _added_to_cart(rng: random.Random) -> Properties:
    quantity = rng.randint(1, 4)
    # an old version of the app sends strings
    sent = rng.choice((quantity, quantity, quantity, str(quantity)))
    return {**_product_viewed(rng), "quantity": sent}


def _checkout_started(rng: random.Random) -> Properties:
    products = rng.sample(PRODUCTS, rng.randint(1, 3))
    return {
        "cartTotal": round(sum(price for *_, price in products), 2),
        "Item Count": len(products),
        "items": [
            {"sku": sku, "price": price, "quantity": rng.randint(1, 2)}
            for sku, _, _, price in products
        ],
        "shipping": {"method": rng.choice(("post", "courier")), "address": {"country": "DE"}},
        "coupon": rng.choice((None, None, "SPRING-10")),
    }


def _order_completed(rng: random.Random) -> Properties:
    return {
        **_checkout_started(rng),
        "orderNumber": rng.randrange(10**15, 10**17),
        "is_gift": rng.choice((True, False, False)),
        "payment method": rng.choice(("card", "PayPal", "invoice")),
    }


def _search(rng: random.Random) -> Properties:
    hits = rng.randrange(40)
    return {"query": rng.choice(("tent", "mug", "プレゼント", "")), "Results": hits}


def _signed_up(rng: random.Random) -> Properties:
    return {"plan name": rng.choice(PLANS), "Plan": rng.choice(PLANS), "referrer code": None}


def _plan_upgraded(rng: random.Random) -> Properties:
    return {"plan name": rng.choice(("plus", "pro")), "plan": "plus", "Plan": "Plus", "mrr": 9}


def _review_written(rng: random.Random) -> Properties:
    stars = rng.randint(1, 5)
    return {"rating": rng.choice((stars, stars, f"{stars} stars")), "text": 'Works.\n"Again!"'}


def _app_opened(rng: random.Random) -> Properties:
    version = f"4.{rng.randrange(9)}.0"
    return {"$app_version_string": version, "pushEnabled": rng.choice((True, False))}


_DESCRIBERS: dict[str, Callable[[random.Random], Properties]] = {
    "Page Viewed": _page_viewed,
    "Product Viewed": _product_viewed,
    "Added to Cart": _added_to_cart,
    "Checkout Started": _checkout_started,
    "Order Completed": _order_completed,
    "search": _search,
    "Signed up": _signed_up,
    "Plan Upgraded": _plan_upgraded,
    "Review Written": _review_written,
    "appOpened": _app_opened,
}
