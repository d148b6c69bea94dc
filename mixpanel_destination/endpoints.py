"""Every address at which Mixpanel's API is written, in one table.

Pure data: what is sent where, with which credentials, whether it may be repeated, what it destroys.

Source: https://developer.mixpanel.com/reference/overview, and the page that each row names.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

PAGES: Final = "https://developer.mixpanel.com/reference/"
APP: Final = "/api/app/projects/{project_id}"
PIPELINES: Final = "/api/2.0/nessie/pipeline"
RETRIEVALS: Final = "/api/app/data-retrievals/v3.0"
DELETIONS: Final = "/api/app/data-deletions/v3.0"


class WriteEndpoint(NamedTuple):
    """One operation of the API that changes a project."""

    name: str
    """Operation id in Mixpanel's specification, which is also its page of the reference."""
    path: str
    """With placeholders: `{project_id}` and others."""
    method: str = "POST"
    host: Literal["query", "export", "ingestion"] = "ingestion"
    sends: Literal["events", "updates", "json", "form", "csv", "nothing"] = "json"
    """What the body is; `events` and `updates` are JSON arrays."""
    account: Literal["service account", "token", "OAuth token"] = "service account"
    """What authorises it. A token is in the body or, for OAuth, beside it in the query string."""
    required: tuple[str, ...] = ()
    """Required parameters of the query string, except for the project."""
    optional: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    """Fields of the body; those of an update are its operation."""
    is_repeatable: bool = True
    """Whether sending it twice has the effect of sending it once."""
    destroys: str = ""
    """What it destroys for good, as a noun; empty if nothing."""

    @property
    def source(self) -> str:
        """URL of its page in the reference."""
        return PAGES + self.name


_VERDICT = ("ip", "strict", "verbose", "callback")
_GROUP_VERDICT = ("ip", "strict", "verbose")
_ONE_SCHEMA = f"{APP}/schemas/{{entity_type}}/{{name}}"
_ONE_ANNOTATION = f"{APP}/annotations/{{annotation_id}}"


def _update(name: str, operation: str, *, is_repeatable: bool = True) -> WriteEndpoint:
    """An operation on profiles of users; `operation` is empty if they may be mixed."""
    return WriteEndpoint(
        name,
        "/engage",
        sends="updates",
        account="token",
        optional=_VERDICT,
        fields=(operation,) if operation else (),
        is_repeatable=is_repeatable,
    )


def _group_update(name: str, operation: str) -> WriteEndpoint:
    """An operation on profiles of groups."""
    return _update(name, operation)._replace(path="/groups", optional=_GROUP_VERDICT)


def _identity(name: str) -> WriteEndpoint:
    return WriteEndpoint(name, "/track", sends="form", account="token", fields=("data", "strict"))


def _pipeline(name: str, fields: tuple[str, ...]) -> WriteEndpoint:
    path = f"{PIPELINES}/{name}"
    return WriteEndpoint(
        f"{name}-warehouse-pipeline", path, host="export", sends="form", fields=fields
    )


ENDPOINTS: Final = (
    WriteEndpoint("import-events", "/import", sends="events", required=("strict",)),
    WriteEndpoint("identity-merge", "/import", sends="events", required=("strict",)),
    WriteEndpoint(
        "track-event",
        "/track",
        sends="events",
        account="token",
        optional=("ip", "verbose", "img", "callback"),
        # unless its events have ids of their own
        is_repeatable=False,
    ),
    _identity("create-identity"),
    _identity("identity-create-alias"),
    _update("profile-set", "$set"),
    _update("profile-set-property-once", "$set_once"),
    _update("profile-numerical-add", "$add", is_repeatable=False),
    _update("user-profile-union", "$union"),
    _update("profile-append-to-list-property", "$append", is_repeatable=False),
    _update("profile-remove-from-list-property", "$remove"),
    _update("profile-delete-property", "$unset"),
    _update("profile-batch-update", "", is_repeatable=False),
    _update("delete-profile", "$delete")._replace(
        optional=("strict", "verbose", "callback"), destroys="profiles"
    ),
    _group_update("group-set-property", "$set"),
    _group_update("group-set-property-once", "$set_once"),
    _group_update("group-delete-property", "$unset"),
    _group_update("group-remove-from-list-property", "$remove"),
    _group_update("group-union", "$union"),
    _group_update("group-batch-update", ""),
    _group_update("delete-group", "$delete")._replace(
        optional=("verbose",), destroys="group profiles"
    ),
    WriteEndpoint(
        "replace-lookup-table",
        "/lookup-tables/{id}",
        method="PUT",
        sends="csv",
        destroys="all rows that the lookup table has now",
    ),
    WriteEndpoint(
        "upload-schemas-for-project",
        f"{APP}/schemas",
        host="query",
        fields=("entries", "truncate"),
    ),
    WriteEndpoint(
        "upload-schema-by-entity-and-name",
        _ONE_SCHEMA,
        host="query",
        fields=("description", "properties", "metadata"),
    ),
    *(
        WriteEndpoint(name, path, "DELETE", "query", "nothing", required=(), destroys=destroys)
        for name, path, destroys in (
            ("delete-all-schemas-in-project", f"{APP}/schemas", "the whole Lexicon"),
            (
                "delete-schemas-for-entity",
                f"{APP}/schemas/{{entity_type}}",
                "all Lexicon entries of a type",
            ),
            ("delete-schema-by-entity-and-name", _ONE_SCHEMA, "a Lexicon entry"),
        )
    ),
    WriteEndpoint(
        "create-annotation",
        f"{APP}/annotations",
        host="query",
        fields=("date", "description", "tags"),
        is_repeatable=False,
    ),
    WriteEndpoint(
        "patch-annotation",
        _ONE_ANNOTATION,
        method="PATCH",
        host="query",
        fields=("description", "tags"),
    ),
    WriteEndpoint(
        "delete-annotation", _ONE_ANNOTATION, "DELETE", "query", "nothing", destroys="an annotation"
    ),
    WriteEndpoint(
        "create-annotation-tag",
        f"{APP}/annotations/tags",
        host="query",
        fields=("name",),
        is_repeatable=False,
    ),
    # their fields depend on the kind of pipeline: see `pipeline_fields`
    _pipeline("create", ())._replace(is_repeatable=False),
    _pipeline("edit", ()),
    _pipeline("pause", ("name",)),
    _pipeline("resume", ("name",)),
    _pipeline("cancel", ("name",))._replace(destroys="a data pipeline with its history"),
    WriteEndpoint(
        "create-retrieval",
        RETRIEVALS,
        host="query",
        account="OAuth token",
        required=("token",),
        fields=("distinct_ids", "compliance_type", "disclosure_type"),
        is_repeatable=False,
    ),
    WriteEndpoint(
        "create-deletion",
        DELETIONS,
        host="query",
        account="OAuth token",
        required=("token",),
        fields=("distinct_ids", "compliance_type"),
        is_repeatable=False,
        destroys="persons, with their events and profiles",
    ),
    WriteEndpoint(
        "delete-deletion",
        f"{DELETIONS}/{{tracking_id}}",
        "DELETE",
        "query",
        "nothing",
        "OAuth token",
        required=("token",),
    ),
)

_BY_NAME: Final = {endpoint.name: endpoint for endpoint in ENDPOINTS}


def endpoint(name: str) -> WriteEndpoint:
    """The endpoint of that name; raises KeyError if there is none."""
    return _BY_NAME[name]


def find_endpoints(method: str, path: str) -> list[WriteEndpoint]:
    """The endpoints that a request may be meant for: several where the body decides."""
    return [known for known in ENDPOINTS if known.method == method and _matches(known.path, path)]


def _matches(pattern: str, path: str) -> bool:
    def fill(placeholder: re.Match[str]) -> str:
        return r"(\d+|\{project_id\})" if placeholder[1] == "project_id" else "[^/]+"

    return re.fullmatch(re.sub(r"\\{(\w+)\\}", fill, re.escape(pattern)), path) is not None
