"""Whether the tables would load: the fault is named, in as few requests as may be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from mixpanel_sandbox import SECRET, USERNAME, Fault, Project, Sandbox
from mixpanel_source.commands.check import check
from mixpanel_source.constants import Hosts
from mixpanel_source.errors import (
    AccessError,
    AuthError,
    MixpanelError,
    PausedError,
    PlanError,
    RequestError,
    ServerError,
)
from tests.support.clock import Clock
from tests.support.projects import make_project

TABLES = ("export", "engage", "cohorts")


class World:
    """Three regions, and one who asks the first of them."""

    def __init__(self, regions: dict[str, Sandbox]) -> None:
        """Ask under a clock that only waits move."""
        self.regions = regions
        self.clock = Clock()

    def check(self, *tables: str, **given: Any) -> dict[str, MixpanelError | None]:
        """Check tables of the project that the tests' projects are."""
        hosts = {name: Hosts(box.url, box.url, box.url) for name, box in self.regions.items()}
        values = {
            "username": USERNAME,
            "secret": SECRET,
            "project_id": 1234567,
            "base_url": hosts["us"].query,
            "export_base_url": hosts["us"].export,
            **given,
        }
        return check(tables or TABLES, clock=self.clock, regions=hosts, **values)

    @property
    def asked(self) -> dict[str, int]:
        """Region -> requests made there."""
        return {name: len(box.requests) for name, box in self.regions.items()}


@contextmanager
def open_world(home: str = "us", **us: Any) -> Iterator[World]:
    """Serve a project in the region `home`, and others elsewhere."""
    with ExitStack() as stack:
        regions = {}
        for number, name in enumerate(("us", "eu", "in")):
            project = make_project() if name == home else Project(project_id=90 + number)
            options = us if name == "us" else {}
            sandbox = Sandbox(project, clock=lambda: world.clock.now, **options)
            regions[name] = stack.enter_context(sandbox)
        world = World(regions)
        yield world


def test_all_is_well() -> None:
    """One request for the project and one a table, a second apart, and none elsewhere."""
    with open_world() as world:
        assert world.check() == dict.fromkeys(TABLES)
        assert world.asked == {"us": 4, "eu": 0, "in": 0}
        assert sum(world.clock.sleeps) == pytest.approx(3, abs=0.1)


@pytest.mark.parametrize("fault", ["html", "403", "402", "500", "closed"])
def test_account_that_cannot_be_read(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    """The endpoint is undocumented, and a sync does without it: so does the check."""
    with open_world(faults=[Fault(fault, table="projects", times=0)]) as world:
        assert world.check() == dict.fromkeys(TABLES)
        assert [record.path for record in world.regions["us"].requests].count("/api/app/me") <= 2
        assert world.asked["us"] <= 5
    assert "The account's projects cannot be read, which a sync does not need." in caplog.text


def test_account_that_is_rate_limited() -> None:
    """A check does not wait long for what it can do without."""
    with open_world(faults=[Fault("429", table="projects", times=0, seconds=1800)]) as world:
        assert world.check() == dict.fromkeys(TABLES)
        assert sum(world.clock.sleeps) < 60


def test_wrong_project_without_the_account() -> None:
    """Then the refusal of the first table says what is wrong."""
    with open_world(faults=[Fault("403", table="projects", times=0)]) as world:
        with pytest.raises(AuthError, match="project_id"):
            world.check(project_id=42)
        assert world.asked["us"] == 2


def test_neither_account_nor_tables() -> None:
    """Without any connection the first two failures are enough."""
    with open_world(faults=[Fault("500", times=0)]) as world:
        with pytest.raises(ServerError):
            world.check()
        assert world.asked["us"] == 4


def test_other_region_is_found() -> None:
    """A project that the account does not have here is looked for in the other regions."""
    with open_world("eu") as world:
        with pytest.raises(
            AuthError, match=r"not in region us, but in region eu: set region to eu"
        ):
            world.check()
        assert world.asked == {"us": 1, "eu": 1, "in": 0}
        assert sum(world.clock.sleeps) == pytest.approx(1, abs=0.1)


def test_region_that_only_the_data_knows_is_found() -> None:
    """Where the account is known all over, the refusal of the data tells; it is asked for once."""
    with open_world("in", wrong_region=True) as world:
        world.regions["us"].project.project_id = 1234567
        with pytest.raises(AuthError, match="set region to in"):
            world.check()
        assert world.asked == {"us": 2, "eu": 1, "in": 1}


def test_project_that_is_nowhere() -> None:
    """Then the refusal stands, and says which regions were asked as well."""
    with open_world() as world:
        message = r"member of project_id 42\. Its projects are 1234567.* eu, in refuse it too"
        with pytest.raises(AuthError, match=message):
            world.check(project_id=42)
        assert world.asked == {"us": 1, "eu": 1, "in": 1}


def test_wrong_secret_is_told_once() -> None:
    """One error for all the tables, which names the settings."""
    with open_world() as world:
        with pytest.raises(AuthError, match="Check username and secret"):
            world.check(secret="wrong")
        assert world.asked == {"us": 1, "eu": 1, "in": 1}


def test_no_other_region_behind_a_proxy() -> None:
    """Of hosts that are no region's nothing is known of other regions, and none is asked."""
    with open_world() as world, Sandbox(Project(project_id=7)) as proxy:
        with pytest.raises(AuthError, match="Its projects are 7"):
            world.check(base_url=proxy.url, export_base_url=proxy.url)
        assert world.asked == {"us": 0, "eu": 0, "in": 0}


def test_each_table_has_its_own_fault() -> None:
    """Role, plan and filter are told apart, and the other tables are looked at all the same."""
    with open_world(unavailable=["cohorts"], faults=[Fault("403", table="engage")]) as world:
        found = world.check(where="properties[")
        assert {table: type(error) for table, error in found.items()} == {
            "export": RequestError,
            "engage": AccessError,
            "cohorts": PlanError,
        }
        assert "Check where" in str(found["export"])
        assert "a role in project_id 1234567" in str(found["engage"])
        assert "leave the table cohorts out" in str(found["cohorts"])
        assert world.asked["us"] == 4


def test_spent_quota_is_said_at_once() -> None:
    """Nobody who checks waits for the hour to be over."""
    with open_world(faults=[Fault("429", table="export", seconds=1800)]) as world:
        found = world.check("export", "cohorts")
        assert isinstance(found["export"], PausedError)
        assert "run again then" in str(found["export"])
        assert found["cohorts"] is None
        assert sum(world.clock.sleeps) < 5
