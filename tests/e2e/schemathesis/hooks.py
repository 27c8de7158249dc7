"""Adapts the schema for schemathesis, and removes fields that would lock the tests out."""

import json

import schemathesis

# If sent to the requesting account or to its policy, these fields would lock it out, and every later response would be the
# same refusal. New accounts and policies still get them.
SHUT_OUT = {
    "/users": {"token"},
    "/policies": {"ip_access", "enforce_tfa"},
}


@schemathesis.hook
def before_load_schema(context, schema):
    """Assigns a supported method and path to operations that OpenAPI 3.0 cannot describe."""
    for parameter in schema["components"]["parameters"].values():
        shape = parameter.pop("x-json-schema", None)
        if shape:
            # Clients serialize this JSON themselves; here it is generated from its schema.
            example = json.loads(parameter.pop("schema")["example"])
            parameter["content"] = {"application/json": {"schema": shape, "example": example}}
            parameter.pop("explode", None)
    lean(schema["components"]["schemas"])
    leave_out_depth(schema)
    paths = schema["paths"]
    for path, item in list(paths.items()):
        if "x-search" in item:
            item["put"] = item.pop("x-search")
        if "x-export" in item:
            # The server ignores a trailing slash, but here it makes a distinct path.
            paths[path + "/"] = {"get": item.pop("x-export")}


def lean(shapes):
    """Keeps the full operators only in the filter of messages, and removes nesting from it. All filters share one parser,
    but the number of generated requests multiplies with the size of a schema, and again with each operation."""
    plain = {"type": "object", "maxProperties": 2, "additionalProperties": {"$ref": "#/components/schemas/TextOperators"}}
    for name in shapes:
        if name.endswith("Filter") and name != "MessageFilter":
            shapes[name] = plain
    for name in ("_and", "_or"):
        shapes["MessageFilter"]["properties"][name]["items"] = plain


def leave_out_depth(part):
    """Limits `deep` to related items, without those related to them in turn."""
    if isinstance(part, dict):
        if "_filter" in part.get("properties", {}):
            part["additionalProperties"] = False
        for value in part.values():
            leave_out_depth(value)
    elif isinstance(part, list):
        for value in part:
            leave_out_depth(value)


@schemathesis.hook
def before_call(context, case, kwargs):
    method, path = case.operation.method.upper(), case.operation.path
    if method == "PUT" and case.method == "PUT":
        case.method = "SEARCH"
    if method == "GET" and path.endswith("/") and "export" not in (case.query or {}):
        # Without this parameter, the request would be the other operation.
        case.query = {**(case.query or {}), "export": "json"}
    for prefix, fields in SHUT_OUT.items():
        if method == "PATCH" and path.startswith(prefix):
            case.body = without(case.body, fields)


def without(body, fields):
    if isinstance(body, dict):
        return {key: without(value, fields) for key, value in body.items() if key not in fields}
    if isinstance(body, list):
        return [without(value, fields) for value in body]
    return body
