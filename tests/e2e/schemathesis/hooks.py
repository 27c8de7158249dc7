"""What schemathesis has to be told about this interface, and what it may not do to it."""

import json

import schemathesis

# Sent to the account that asks, or to the policy that it lives by, these would shut it out, and every later answer would be
# the same refusal. New accounts and policies do get them.
SHUT_OUT = {
    "/users": {"token"},
    "/policies": {"ip_access", "enforce_tfa"},
}


@schemathesis.hook
def before_load_schema(context, schema):
    """Gives the operations that OpenAPI 3.0 has no place for a method and a path that it knows."""
    for parameter in schema["components"]["parameters"].values():
        shape = parameter.pop("x-json-schema", None)
        if shape:
            # Clients write this JSON themselves; here it is made up of its shape.
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
            # A slash at the end changes nothing for the server, but makes it another path here.
            paths[path + "/"] = {"get": item.pop("x-export")}


def lean(shapes):
    """Leaves each operator of each field to the filters of messages, and no depth to any. All filters are read by the same
    code, but the requests that are made of a shape multiply with what lies in it, and again with each operation."""
    plain = {"type": "object", "maxProperties": 2, "additionalProperties": {"$ref": "#/components/schemas/TextOperators"}}
    for name in shapes:
        if name.endswith("Filter") and name != "MessageFilter":
            shapes[name] = plain
    for name in ("_and", "_or"):
        shapes["MessageFilter"]["properties"][name]["items"] = plain


def leave_out_depth(part):
    """Leaves related items alone to `deep`, and not those behind them."""
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
        # Without it, it is the other operation.
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
