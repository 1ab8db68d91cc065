"""What is under infra/kubernetes and infra/images, read for the tests, and the schemas it is held against."""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from contracts.settings import ROOT

KUBERNETES = ROOT / "infra" / "kubernetes"
IMAGES = ROOT / "infra" / "images"
FLINK_SCHEMA = (
    ROOT / "jars" / "kubernetes" / "META-INF" / "fabric8" / "flinkdeployments.flink.apache.org-v1.yml"
)
KUBERNETES_SCHEMA = Path(__file__).with_name("schemas") / "kubernetes-1.34.json"
GROUPS = {"apps/v1": "apps", "batch/v1": "batch", "v1": "core"}
Manifest = dict[str, Any]


def documents() -> list[Manifest]:
    """Every object of every manifest; kustomize's own file and Helm's values are none."""
    files = sorted(
        set(KUBERNETES.glob("*.yaml"))
        - {KUBERNETES / "kustomization.yaml", KUBERNETES / "airflow-values.yaml"}
    )
    return [one for file in files for one in yaml.safe_load_all(file.read_text())]


def named(kind: str, name: str | None = None) -> Manifest:
    """The one object of this kind, and name where there are several."""
    [found] = [one for one in documents() if one["kind"] == kind and name in (None, one["metadata"]["name"])]
    return found


def against_kubernetes(definition: str, value: Any) -> list[str]:
    """What Kubernetes' own schema has against it; unknown fields are errors."""
    schema = json.loads(KUBERNETES_SCHEMA.read_text())
    checker = jsonschema.Draft202012Validator({**schema, "$ref": f"#/$defs/io.k8s.api.{definition}"})
    return [f"{error.json_path}: {error.message}" for error in checker.iter_errors(value)]


def against_flinks_operator(value: Manifest) -> list[str]:
    """What the operator's published definition has against it."""
    definition = yaml.safe_load(FLINK_SCHEMA.read_text())
    [version] = [
        one
        for one in definition["spec"]["versions"]
        if f"flink.apache.org/{one['name']}" == value["apiVersion"]
    ]
    schema = strict(version["schema"]["openAPIV3Schema"])
    schema["properties"] |= {"apiVersion": {}, "kind": {"const": "FlinkDeployment"}, "metadata": {}}
    return [
        f"{error.json_path}: {error.message}"
        for error in jsonschema.Draft202012Validator(schema).iter_errors(value)
    ]


def strict(schema: Any) -> Any:
    """OpenAPI v3 as Kubernetes uses it, as JSON Schema: an object takes no field that it does not name."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    found = {key: strict(value) for key, value in schema.items()}
    if (
        "properties" in schema
        and isinstance(schema["properties"], Mapping)
        and "additionalProperties" not in schema
    ):
        found["additionalProperties"] = bool(schema.get("x-kubernetes-preserve-unknown-fields", False))
    return found


def pods(value: Any) -> Iterator[Manifest]:
    """Every pod's `spec` in an object, however deep."""
    if isinstance(value, list):
        for one in value:
            yield from pods(one)
    elif isinstance(value, dict):
        if "containers" in value:
            yield value
        for one in value.values():
            yield from pods(one)


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of a Dockerfile: its base, its name, and its instructions in order."""

    base: str
    name: str
    steps: tuple[tuple[str, str], ...]

    def of(self, instruction: str) -> list[str]:
        return [words for name, words in self.steps if name == instruction]


def stages(dockerfile: Path) -> list[Stage]:
    """A Dockerfile's stages; lines that end with a backslash go on."""
    text = dockerfile.read_text().replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    found: list[Stage] = []
    for line in lines:
        name, _, words = line.partition(" ")
        if name == "FROM":
            base, _, alias = words.partition(" AS ")
            found.append(Stage(base, alias, ()))
        else:
            last = found.pop()
            found.append(Stage(last.base, last.name, (*last.steps, (name, " ".join(words.split())))))
    return found


def locked(group: str) -> set[str]:
    """The distributions that `uv sync --group` installs: the group, the project's own, and what they need."""
    packages: dict[str, list[Manifest]] = {}
    for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]:
        packages.setdefault(package["name"], []).append(package)
    [braid] = packages["braid"]
    left = _wanted([*braid["dependencies"], *braid["dev-dependencies"][group]])
    found: set[tuple[str, str]] = set()
    while left:
        name, extra = one = left.pop()
        if one not in found:
            found.add(one)
            for package in packages[name]:
                needs = (
                    package.get("optional-dependencies", {}).get(extra, [])
                    if extra
                    else package.get("dependencies", [])
                )
                left += _wanted(needs)
    return {name for name, _ in found}


def _wanted(dependencies: list[Manifest]) -> list[tuple[str, str]]:
    """Each dependency by itself, and with each of its extras."""
    return [(one["name"], extra) for one in dependencies for extra in ("", *one.get("extra", ()))]


def foreign_imports(folder: Path) -> set[str]:
    """The distributions that a folder's modules import, anywhere in them, by a name of the lock."""
    known, ours = packages_distributions(), {path.parent.name for path in ROOT.glob("*/__init__.py")}
    modules = {
        name.partition(".")[0]
        for file in folder.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        for name in _imported(node)
    }
    foreign = modules - ours - sys.stdlib_module_names
    return {re.sub(r"[-_.]+", "-", known.get(module, [module])[0]).lower() for module in foreign}


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
