#!/usr/bin/env python3
"""How much of the REST contract a server's own OpenAPI document covers.

    conformance.py http://127.0.0.1:4200/api/openapi.json     (or a file)
    conformance.py SOURCE --only "Flow Runs" --only Deployments
    conformance.py SOURCE --at-least 100

An operation counts when it exists and, compared with openapi-v3.json:
its parameters are all there; every request field is there with the same types,
and no further field is required; the success status is the same; every response
field is there with the same types. Further fields, routes and looser inputs are fine.
Reads documents only: behaviour is for the tests.
"""

import argparse
import json
import sys
import urllib.request
from pathlib import Path

CONTRACT = Path(__file__).with_name("openapi-v3.json")


def load(source: str) -> dict:
    if source.startswith("http"):
        with urllib.request.urlopen(source, timeout=30) as r:
            return json.load(r)
    return json.loads(Path(source).read_text())


def resolve(doc: dict, schema: dict) -> dict:
    seen = 0
    while "$ref" in schema and seen < 20:
        schema = doc["components"]["schemas"][schema["$ref"].split("/")[-1]]
        seen += 1
    return schema


def branches(doc: dict, schema: dict) -> list[dict]:
    """A schema as its alternatives, with references and nested unions opened."""
    schema = resolve(doc, schema)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return [b for s in schema[key] for b in branches(doc, s)]
    if "allOf" in schema and len(schema["allOf"]) == 1:
        return branches(doc, schema["allOf"][0])
    if isinstance(schema.get("type"), list):
        return [schema | {"type": t} for t in schema["type"]]
    return [schema]


def kind(schema: dict) -> str:
    if "const" in schema:
        return "string" if isinstance(schema["const"], str) else type(schema["const"]).__name__
    return schema.get("type") or ("object" if "properties" in schema else "any")


def kinds(doc: dict, schema: dict) -> set[str]:
    return {kind(b) for b in branches(doc, schema)}


def enum(doc: dict, schema: dict) -> set:
    return {
        v
        for b in branches(doc, schema)
        for v in b.get("enum", [b["const"]] if "const" in b else [])
    }


def compare(want_doc, want, got_doc, got, where, direction, out, path=()):  # noqa: C901 - one walk over two documents
    """Append to `out` what `got` lacks against `want`."""
    if len(path) > 7:
        return
    wk, gk = kinds(want_doc, want), kinds(got_doc, got)
    if "any" in gk and direction == "in":
        return
    missing = wk - gk - {"any"}
    if "number" in gk:
        missing -= {"integer"}
    if direction == "out":
        # A response may be narrower (never null), but not of another type.
        missing -= {"null"}
        extra = gk - wk - {"any"}
        if "number" in wk:
            extra -= {"integer"}
        if extra and "any" not in wk:
            out.append(f"{where}: also {'/'.join(sorted(extra))}")
    if missing:
        out.append(f"{where}: no {'/'.join(sorted(missing))}")
        return
    lost = enum(want_doc, want) - enum(got_doc, got)
    if lost and enum(got_doc, got):
        out.append(f"{where}: enum lacks {sorted(map(str, lost))}")
    wobjs = [b for b in branches(want_doc, want) if b.get("properties")]
    gobjs = [b for b in branches(got_doc, got) if b.get("properties")]
    if wobjs and not gobjs and direction == "in" and "object" in gk:
        return  # takes any object
    for wobj in wobjs:
        names = set(wobj["properties"])
        tag = enum(want_doc, wobj["properties"].get("type", {}))
        best = max(
            gobjs,
            key=lambda b: (
                bool(tag & enum(got_doc, b["properties"].get("type", {}))),
                len(names & set(b["properties"])),
            ),
            default={"properties": {}},
        )
        for name in sorted(names):
            if name not in best["properties"]:
                out.append(f"{where}.{name}: absent")
            else:
                key = (id(wobj), name)
                if key not in path:
                    compare(
                        want_doc,
                        wobj["properties"][name],
                        got_doc,
                        best["properties"][name],
                        f"{where}.{name}",
                        direction,
                        out,
                        path + (key,),
                    )
        if direction == "in" and len(wobjs) == 1:
            more = set(best.get("required", [])) - set(wobj.get("required", []))
            if more:
                out.append(f"{where}: also requires {sorted(more)}")
    warr = [b for b in branches(want_doc, want) if b.get("type") == "array" and "items" in b]
    garr = [b for b in branches(got_doc, got) if b.get("type") == "array" and "items" in b]
    if warr and garr:
        compare(
            want_doc,
            warr[0]["items"],
            got_doc,
            garr[0]["items"],
            f"{where}[]",
            direction,
            out,
            path + (("items", where),),
        )


def body(op: dict):
    return op.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")


def success(op: dict):
    for code, response in op.get("responses", {}).items():
        if code.startswith("2"):
            return code, response.get("content", {}).get("application/json", {}).get("schema")
    return None, None


def route(path: str) -> str:
    """Path with the parameters' names left out: they are the server's own choice."""
    return "/".join("{}" if p.startswith("{") else p for p in path.split("/"))


def operation(want_doc, want, got_doc, got) -> list[str]:
    out: list[str] = []
    have = {(p["name"].lower(), p["in"]) for p in got.get("parameters", [])}
    for p in want.get("parameters", []):
        if p["in"] != "path" and (p["name"].lower(), p["in"]) not in have:  # noqa: SIM102
            if p["name"].lower() != "x-prefect-api-version":
                out.append(f"parameter {p['name']} in {p['in']}: absent")
    if (w := body(want)) is not None:
        g = body(got)
        if g is None:
            out.append("request body: absent")
        else:
            compare(want_doc, w, got_doc, g, "request", "in", out)
    wcode, wschema = success(want)
    gcode, gschema = success(got)
    if wcode != gcode:
        out.append(f"success status {gcode}, not {wcode}")
    if wschema and wschema != {}:
        if not gschema:
            out.append("response: no schema")
        else:
            compare(want_doc, wschema, got_doc, gschema, "response", "out", out)
    return out


def main() -> int:
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("source")
    ap.add_argument("--only", action="append", help="a tag of the contract")
    ap.add_argument("--at-least", type=float, default=0, help="percent; exit 1 below it")
    ap.add_argument("--quiet", action="store_true")
    a = ap.parse_args()
    want, got = load(str(CONTRACT)), load(a.source)
    mine: dict[tuple[str, str], dict] = {}
    for path, ops in got["paths"].items():
        for method, op in ops.items():
            mine[route(path.removeprefix("/api")), method] = op
    total = good = 0
    by_tag: dict[str, list[int]] = {}
    for path, ops in sorted(want["paths"].items()):
        for method, op in ops.items():
            tag = (op.get("tags") or ["-"])[0]
            if a.only and tag not in a.only:
                continue
            total += 1
            row = by_tag.setdefault(tag, [0, 0])
            row[1] += 1
            match = mine.get((route(path), method))
            faults = ["absent"] if match is None else operation(want, op, got, match)
            if not faults:
                good += 1
                row[0] += 1
            elif not a.quiet:
                print(f"{method.upper():6} {path}")
                for f in faults[:12]:
                    print(f"         {f}")
    for tag, (g, t) in sorted(by_tag.items()):
        print(f"{tag:24} {g:3} of {t}")
    percent = 100 * good / max(total, 1)
    print(f"{good} of {total} operations conform ({percent:.1f} %)")
    return 1 if percent < a.at_least else 0


if __name__ == "__main__":
    sys.exit(main())
