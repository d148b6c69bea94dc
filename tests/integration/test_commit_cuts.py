"""A connection to Postgres that is lost at a COMMIT leaves no row twice.

`make torture` does the same at every COMMIT, for all kinds of tables.
"""

from __future__ import annotations

import pytest

from mixpanel_source import open_pipeline
from tests.support.commit_cuts import open_proxy
from tests.support.lab import open_lab
from tests.support.projects import YESTERDAY, add_event, make_project


@pytest.mark.slow
def test_copied_files_are_there_once(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a COMMIT is lost or only its reply, the sync completes, with each row once."""
    project = make_project(YESTERDAY, YESTERDAY)
    project.cohort_members[1] = ["u0"]
    with open_proxy(postgres) as (proxy, url):
        monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", url)
        with open_lab(project, open_pipeline("postgres")) as lab:
            lab.sync("export", "cohort_members")
            for number, is_lost in enumerate((False, True), 10):
                add_event(project, YESTERDAY, number)
                proxy.cut_at(1, is_lost=is_lost, of="COPY .*export.* FROM STDIN")
                assert lab.sync("export").failures == {}
                assert proxy.has_cut
                lab.assert_events_kept()
            project.cohort_members[1] = ["u0", "u1"]
            proxy.cut_at(1, of="COPY .*cohort_members.* FROM STDIN")
            assert lab.sync("cohort_members").failures == {}
            assert proxy.has_cut
            proxy.cut_at(0)
            members = sorted(row["distinct_id"] for row in lab.rows("cohort_members"))
            assert members == ["u0", "u1"]
