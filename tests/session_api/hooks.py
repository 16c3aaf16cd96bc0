"""What the contract's schema lets through and this gateway refuses with 422, and why (src/http/limits.rs, src/http/session_api/start.rs):
names and values that no container can be given, ids that no URL path can carry, lists and texts beyond their bounds. And logs
that are followed: they end with the container, and the judge gives a body up after ten seconds."""

import unicodedata

import schemathesis


def size(text):
    return len(text.encode("utf-8", "surrogatepass"))


def within(body, field, most):
    value = body.get(field)
    return not isinstance(value, str) or size(value) <= most


@schemathesis.hook
def filter_body(context, body):
    if not isinstance(body, dict):
        return True
    if "image" in body:
        return start_fits(body)
    players = body.get("players")
    listed = players if isinstance(players, list) else []
    named = all(not isinstance(player, str) or size(player) <= 256 for player in listed)
    return named and len(listed) <= 1000 and within(body, "session", 256)


def start_fits(body):
    env = body.get("env")
    names = env if isinstance(env, dict) else {}
    can_be_named = all(name and "=" not in name and size(name) <= 256 for name in names)
    identifier = body.get("id")
    reachable = not isinstance(identifier, str) or (
        identifier not in (".", "..") and all(unicodedata.category(c) != "Cc" for c in identifier)
    )
    bounds = {"id": 256, "location": 256, "image": 256, "version": 128, "ttl": 32}
    return can_be_named and reachable and all(within(body, field, most) for field, most in bounds.items())


@schemathesis.hook
def filter_query(context, query):
    followed = isinstance(query, dict) and query.get("follow") in (True, "true")
    return not (followed and context.operation.path == "/logs")
