"""How the replies of a table become rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ...catalog.tables import find_table
from ...decode.row_shape import NOT_A_LIST, NOT_AN_OBJECT
from ...errors import AuthError, RequestError, UnavailableError
from . import managed
from .fetching import ListFetcher, Row, TableRows

RUNS = "data_pipeline_runs"


def read_lists(names: list[str], fetcher: ListFetcher) -> TableRows:
    """Each table is the list of the endpoint of its name; one that is refused stops no other."""
    selected, *beside = names
    asked = find_table(selected).endpoint.name
    found = {selected: fetcher.rows(asked, managed.PARAMS.get(selected))}
    for name in beside:
        try:
            found[name] = fetcher.rows(name)
        except AuthError:
            raise
        except (RequestError, UnavailableError) as failure:
            fetcher.refused[name] = failure
    return found


def _read_lexicon(fetcher: ListFetcher) -> TableRows:
    rows: list[Row] = []
    for entity in fetcher.rows("lexicon"):
        schema = {} if entity.get("schemaJson") is None else entity["schemaJson"]
        if not isinstance(schema, dict):
            fetcher.reject("lexicon", entity, "schemaJson is not an object")
            continue
        properties = {} if schema.get("properties") is None else schema["properties"]
        if not isinstance(properties, dict):
            fetcher.reject("lexicon", entity, "properties is not an object")
            continue
        of = {"entity_type": entity.get("entityType"), "entity": entity.get("name")}
        rows.append({**of, **_describe("", schema)})
        for name, description in properties.items():
            if isinstance(description, dict):
                rows.append({**of, **_describe(name, description)})
            else:
                fetcher.reject("lexicon", {**of, "property": name, "": description}, NOT_AN_OBJECT)
    return {"lexicon": rows}


def _describe(name: str, description: Row) -> Row:
    """The columns of a property; its name is empty for the entity itself."""
    metadata = description.get("metadata")
    own = metadata.get("com.mixpanel") if isinstance(metadata, dict) else None
    # what is of another shape is in `definition`
    facts: Row = own if isinstance(own, dict) else {}
    return {
        "property": name,
        "type": description.get("type"),
        "description": description.get("description"),
        "display_name": facts.get("displayName"),
        "is_hidden": facts.get("hidden"),
        "is_dropped": facts.get("dropped"),
        "tags": facts.get("tags"),
        "definition": {key: v for key, v in description.items() if key != "properties"},
    }


def _read_projects(fetcher: ListFetcher) -> TableRows:
    reply = fetcher.take_object("projects", fetcher.reply("projects"))
    projects = fetcher.take_object("projects", reply.get("projects", {}))
    rows: list[Row] = []
    for id_, row in projects.items():
        if isinstance(row, dict):
            rows.append({"project_id": id_, **row})
        else:
            fetcher.reject("projects", {id_: row}, NOT_AN_OBJECT)
    return {"projects": rows}


def _read_data_pipelines(fetcher: ListFetcher) -> TableRows:
    by_project = fetcher.take_object("data_pipelines", fetcher.reply("data_pipelines"))
    listed = by_project.get(str(fetcher.project_id), [])
    jobs = fetcher.objects("data_pipelines", fetcher.take_list("data_pipelines", listed))
    runs = [
        run for job in jobs if isinstance(job.get("name"), str) for run in _iter_runs(fetcher, job)
    ]
    return {"data_pipelines": jobs, RUNS: runs}


def _iter_runs(fetcher: ListFetcher, job: Row) -> Iterator[Row]:
    reply = fetcher.take_object(RUNS, fetcher.reply(RUNS, {"name": job["name"]}))
    for state, listed in reply.items():
        if not isinstance(listed, list):
            fetcher.reject(RUNS, {state: listed}, NOT_A_LIST)
            continue
        for position, run in enumerate(listed):
            if isinstance(run, dict):
                of = {"pipeline": job["name"], "state": state, "position": position}
                yield {**of, **run}
            else:
                fetcher.reject(RUNS, {state: run}, NOT_AN_OBJECT)


READERS: Mapping[str, Callable[[ListFetcher], TableRows]] = {
    "lexicon": _read_lexicon,
    "projects": _read_projects,
    "data_pipelines": _read_data_pipelines,
    "feature_flags": managed.read_feature_flags,
    "experiments": managed.read_experiments,
    "warehouse_imports": managed.read_warehouse_imports,
    "workspaces": managed.read_workspaces,
    "custom_properties": managed.read_custom_properties,
}
"""Table -> how its replies become rows, where they are more than a list of its rows."""
