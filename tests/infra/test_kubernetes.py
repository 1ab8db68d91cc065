"""Manifests and images, as far as they can be checked without a cluster: schemas, settings, commands, what images copy."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from confluent_kafka.admin import AdminClient

from contracts.engines import spark_conf
from contracts.policy import read_policy
from contracts.settings import ROOT, TOPICS, Settings
from flink_jobs.job import checkpoints_folder, stream_job
from infra.kubernetes.__main__ import main
from infra.kubernetes.render import IMAGE_ROOT, cluster_settings, stale, start_conf
from infra.stack import LocalStack
from infra.stack.flink import cluster_config, pyflink_home
from infra.stack.spark import pyspark_home
from tests.infra.manifests import (
    FLINK_SCHEMA,
    GROUPS,
    IMAGES,
    KUBERNETES,
    Manifest,
    Stage,
    against_flinks_operator,
    against_kubernetes,
    documents,
    foreign_imports,
    locked,
    named,
    pods,
    stages,
)
from tests.infra.test_stack import wait_until
from tests.ports import free_port_base

CLUSTER = cluster_settings()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DOCKERFILES = sorted(IMAGES.glob("Dockerfile.*"))
PLAIN = [one for one in documents() if one["apiVersion"] in GROUPS]
COMMANDS = {
    "infra": ("infra.gateway", "infra.kubernetes"), "scorer": ("scorer",), "models": ("models",), "airflow": ("dags",),
    "features": ("feature_repo",), "spark": ("spark_jobs",), "flink": ("flink_jobs",),
}  # fmt: skip

ROOMS = {
    "infra": ("infra/gateway", "infra/kubernetes", "infra/stack"), "scorer": ("scorer", "models/decide"),
    "models": ("models",), "features": ("feature_repo",), "spark": ("spark_jobs", "models/decide"),
    "flink": ("flink_jobs",), "airflow": ("dags",),
}  # fmt: skip
"""What of an image's folders its commands reach."""
IMPORT_ALL = """
import importlib, pkgutil, sys

for room in sys.argv[1:]:
    for one in pkgutil.walk_packages(importlib.import_module(room).__path__, room + "."):
        importlib.import_module(one.name)
print("all imported")
"""


def title(manifest: Manifest) -> str:
    return f"{manifest['kind']} {manifest['metadata']['name']}"


def test_what_is_committed_is_what_the_settings_render(tmp_path: Path) -> None:
    assert stale() == []
    assert stale(tmp_path) == ["spark-application.yaml", "flink-deployment.yaml"]
    assert main(["render", "--check"]) == 0


@pytest.mark.parametrize("manifest", PLAIN, ids=title)
def test_plain_objects_are_kubernetes_own(manifest: Manifest) -> None:
    assert against_kubernetes(f"{GROUPS[manifest['apiVersion']]}.v1.{manifest['kind']}", manifest) == []


def test_the_schema_finds_a_wrong_field() -> None:
    wrong = named("Deployment", "braid-scorer")
    wrong["spec"]["template"]["spec"]["containers"][0]["volumeMount"] = []
    assert any("volumeMount" in said for said in against_kubernetes("apps.v1.Deployment", wrong))


def test_the_flink_deployment_is_as_the_operator_publishes() -> None:
    """The newest schema that could be had ends with Flink 1.20, so the version is the one thing that it cannot know."""
    deployment = named("FlinkDeployment")
    assert against_flinks_operator(deployment) == [
        said for said in against_flinks_operator(deployment) if "v2_3" in said
    ]
    deployment["spec"]["flinkVersion"] = "v1_20"
    assert against_flinks_operator(deployment) == []
    deployment["spec"]["taskManager"]["slots"] = 2
    assert [said for said in against_flinks_operator(deployment) if "'slots' was unexpected" in said]
    assert "Apache License" in FLINK_SCHEMA.parents[1].joinpath("LICENSE").read_text()


def test_the_spark_application_has_the_fields_that_the_operator_documents() -> None:
    """Its schema is in no registry: the names are those of its documentation, the pods Kubernetes' own."""
    application = named("SparkApplication")
    assert application["apiVersion"] == "spark.apache.org/v1"
    assert set(application["spec"]) == {
        "pyFiles", "driverArgs", "sparkConf", "driverSpec", "executorSpec", "applicationTolerations", "runtimeVersions",
    }  # fmt: skip
    for part in ("driverSpec", "executorSpec"):
        template = application["spec"][part]["podTemplateSpec"]
        assert against_kubernetes("core.v1.PodTemplateSpec", template) == []
    assert {type(value) for value in application["spec"]["sparkConf"].values()} == {str}
    versions = {one for one in PROJECT["dependency-groups"]["spark"] if one.startswith("pyspark")}
    assert versions == {f"pyspark=={application['spec']['runtimeVersions']['sparkVersion']}"}
    assert application["spec"]["applicationTolerations"]["restartConfig"]["restartPolicy"] in {
        "Never", "Always", "OnFailure", "OnInfrastructureFailure",
    }  # fmt: skip


def test_the_settings_file_is_the_one_thing_that_differs() -> None:
    kustomization = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())
    assert kustomization["configMapGenerator"] == [
        {"name": "braid-settings", "files": ["settings.toml", "policy.toml"]}
    ]
    assert CLUSTER.policy == Path("/etc/braid/policy.toml")
    assert read_policy(KUBERNETES / "policy.toml").placements
    assert all((KUBERNETES / file).is_file() for file in kustomization["resources"])
    values = yaml.safe_load((KUBERNETES / "airflow-values.yaml").read_text())
    readers = [
        *(pod for one in documents() for pod in pods(one)),
        {"containers": [values], "volumes": values["volumes"]},
    ]
    told = [
        variable
        for pod in readers
        for container in pod["containers"]
        for variable in container.get("env", ())
    ]
    assert {json.dumps(one, sort_keys=True) for one in told} == {
        json.dumps({"name": "BRAID_SETTINGS", "value": "/etc/braid/settings.toml"}, sort_keys=True)
    }
    for pod in readers:
        mounts = {
            mount["name"]: mount["mountPath"] for one in pod["containers"] for mount in one["volumeMounts"]
        }
        assert mounts["state"] == str(CLUSTER.var)
        assert {volume["name"] for volume in pod["volumes"]} == set(mounts)


def test_what_spark_and_flink_are_told_is_of_the_settings() -> None:
    told, conf = named("SparkApplication")["spec"]["sparkConf"], spark_conf(CLUSTER)
    assert told.items() >= start_conf(CLUSTER).items()
    assert {key: told[key] for key in conf if key.startswith("spark.executor.") and "Class" not in key} == {
        key: conf[key] for key in conf if key.startswith("spark.executor.") and "Class" not in key
    }
    assert not [value for value in told.values() if str(ROOT) in value or sys.prefix in value]
    flink = named("FlinkDeployment")
    assert CLUSTER.flink_url == f"http://{flink['metadata']['name']}-rest:8081"
    cluster, job = flink["spec"]["flinkConfiguration"], stream_job(CLUSTER)
    assert {key: cluster_config(CLUSTER)[key] for key in cluster} == cluster
    assert not set(cluster) & set(job.options)
    assert job.options["parallelism.default"] == str(CLUSTER.stream_parallelism)
    assert CLUSTER.stream_parallelism % CLUSTER.stream_slots == 0
    assert checkpoints_folder(CLUSTER).is_relative_to(CLUSTER.var)
    assert CLUSTER.kafka_partitions >= CLUSTER.stream_parallelism


def test_services_and_probes_name_the_ports_of_the_settings() -> None:
    ports = {
        "gateway": "gateway_metrics",
        "feature-writer": "writer_metrics",
        "scorer": "scorer",
        "stream-metrics": "stream_metrics",
    }
    for name, port in ports.items():
        [container] = next(pods(named("Deployment", f"braid-{name}")))["containers"]
        assert [one["containerPort"] for one in container["ports"]] == [CLUSTER.port(port)]
    service = named("Service")
    assert CLUSTER.scorer_url == f"http://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
    labels = named("Deployment", "braid-scorer")["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"] == labels


def containers() -> list[tuple[str, list[str]]]:
    """(image's group, command) of each container that says what it runs."""
    found = [container for one in documents() for pod in pods(one) for container in pod["containers"]]
    told = [(one["image"], one["command"]) for one in found if "command" in one]
    return [(re.fullmatch(r"braid/(\w+):0\.1\.0", image)[1], command) for image, command in told]  # type: ignore[index]


def test_every_command_is_one_that_its_image_has() -> None:
    assert len(containers()) == 6
    for group, command in containers():
        assert command[:2] == ["python", "-m"]
        assert command[2] in COMMANDS[group]
        parsed = subprocess.run(
            [sys.executable, "-m", *command[2:], "--help"], cwd=ROOT, capture_output=True, text=True, check=False
        ) if command[2] not in {"infra.gateway", "scorer"} else None  # fmt: skip
        assert parsed is None or parsed.returncode == 0, parsed.stderr
    application = named("SparkApplication")["spec"]
    assert application["pyFiles"] == f"local://{IMAGE_ROOT}/infra/images/spark_main.py"
    driver = [sys.executable, str(IMAGES / "spark_main.py"), *application["driverArgs"], "--help"]
    shown = subprocess.run(
        driver, cwd="/", env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert (shown.returncode, "--jobs" in shown.stdout) == (0, True), shown.stderr


def test_every_pod_of_ours_runs_as_the_images_user() -> None:
    for manifest in documents():
        for pod in pods(manifest):
            assert pod["securityContext"] == {"runAsNonRoot": True, "runAsUser": 10001, "fsGroup": 10001}
    values = yaml.safe_load((KUBERNETES / "airflow-values.yaml").read_text())
    assert (values["uid"], values["gid"]) == (10001, 10001)
    airflow = next(
        one for one in PROJECT["dependency-groups"]["airflow"] if one.startswith("apache-airflow==")
    )
    assert airflow == f"apache-airflow=={values['airflowVersion']}"


def test_every_deployed_group_has_one_image() -> None:
    groups = {path.suffix[1:] for path in DOCKERFILES}
    assert groups == set(PROJECT["dependency-groups"]) - {"dev"} == set(COMMANDS)
    assert {group for group, _ in containers()} <= groups


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.suffix[1:])
def test_an_image_installs_its_one_group_and_runs_as_no_root(dockerfile: Path) -> None:
    parts = stages(dockerfile)
    commands = [step for stage in parts for step in stage.of("RUN")]
    synced = [command for command in commands if "uv sync" in command]
    assert synced == [f"uv sync --frozen --group {dockerfile.suffix[1:]}"]
    assert {word for command in commands for word in shlex.split(command) if word.startswith("uv==")} == {
        "uv==0.13.9"
    }
    assert "readonly UV_VERSION=0.13.9" in (ROOT / "infra" / "setup" / "setup.sh").read_text()
    for stage in parts:
        assert re.fullmatch(r"[a-z/]+:\d+\.\d+\.\d+[\w.-]*", stage.base), f"{stage.base} is not pinned"
    last = parts[-1]
    assert last.of("USER") == ["10001"]
    assert [name for name, _ in last.steps[-2:] if name not in {"USER", "CMD", "ENTRYPOINT"}] == []
    assert last.of("WORKDIR") == [IMAGE_ROOT]
    assert not re.search(r"(?i)password|secret|token", dockerfile.read_text())


def test_the_wheels_carry_what_the_entrypoints_start() -> None:
    flink, spark = pyflink_home() / "bin", pyspark_home()
    for script in ("kubernetes-jobmanager.sh", "kubernetes-taskmanager.sh", "config.sh", "flink-console.sh"):
        assert os.access(flink / script, os.X_OK), script
    assert os.access(spark / "bin" / "spark-submit", os.X_OK)
    assert list((spark / "jars").glob("spark-kubernetes_*.jar"))


def copied(stage: Stage) -> list[str]:
    """What a stage copies of the project."""
    words = [one.split() for one in stage.of("COPY") if not one.startswith("--from")]
    return [path for one in words for path in one[:-1]]


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.suffix[1:])
def test_an_image_copies_what_is_there_and_all_that_its_commands_import(
    dockerfile: Path, tmp_path: Path
) -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for path in (path for stage in stages(dockerfile) for path in copied(stage)):
        assert (ROOT / path).exists(), path
        assert path.split("/")[0] in allowed
    for path in copied(stages(dockerfile)[-1]):
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / path).is_dir():
            shutil.copytree(ROOT / path, target, ignore=shutil.ignore_patterns("__pycache__", "target"))
        else:
            shutil.copy(ROOT / path, target)
    group = dockerfile.suffix[1:]
    python = ROOT / ".venv-airflow" / "bin" / "python" if group == "airflow" else sys.executable
    modules = COMMANDS[group]
    script = tmp_path / "import_all.py"
    script.write_text(IMPORT_ALL)
    done = subprocess.run(
        [python, str(script), *modules], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "TF_USE_LEGACY_KERAS": "1", "AIRFLOW_HOME": str(tmp_path / "home")},
    )  # fmt: skip
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["all imported"]), done.stderr[-2000:]


@pytest.mark.parametrize("group", [group for group in ROOMS if group != "airflow"])
def test_an_image_has_the_libraries_that_its_rooms_import(group: str) -> None:
    """Anywhere in them, at once or when needed; the vocabulary is everywhere and imports engines only for their rooms."""
    lacking = {room: foreign_imports(ROOT / room) - locked(group) for room in ROOMS[group]}
    assert set().union(*lacking.values()) == set(), lacking


def test_the_topics_of_the_settings_are_made(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = replace(settings, var=tmp_path.resolve(), port_base=free_port_base())
    stack = LocalStack(own)
    try:
        stack.up(["kafka"])
        admin = AdminClient({"bootstrap.servers": own.kafka_bootstrap})
        admin.delete_topics([TOPICS.item_trends])[TOPICS.item_trends].result(timeout=30)
        # The broker answers before it is gone everywhere.
        wait_until(lambda: TOPICS.item_trends not in admin.list_topics(timeout=30).topics)
        wide = tmp_path / "wide.toml"
        wide.write_text(f'kafka.address = "{own.kafka_bootstrap}"\nkafka.partitions = 6\n')
        monkeypatch.setenv("BRAID_SETTINGS", str(wide))
        assert main(["topics"]) == 0
        wait_until(lambda: TOPICS.item_trends in admin.list_topics(timeout=30).topics)
        assert len(admin.list_topics(timeout=30).topics[TOPICS.item_trends].partitions) == 6
    finally:
        stack.down()


def test_an_application_of_another_day_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["application", "--cut", "2011-09-01", "--jobs", "gold,lists"]) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["metadata"]["name"] == "braid-gold-lists-2011-09-01"
    assert printed["spec"]["driverArgs"] == [
        "--jobs",
        "gold,lists",
        "--cut",
        "2011-09-01",
        "--source",
        "kafka",
    ]
    committed = named("SparkApplication")
    for one in (printed, committed):
        del one["metadata"], one["spec"]["driverArgs"]
    assert printed == committed


def test_a_changed_setting_shows_in_the_rendering() -> None:
    wider = start_conf(replace(CLUSTER, spark_executor_memory="12g"))
    assert wider["spark.executor.memory"] == "12g" != start_conf(CLUSTER)["spark.executor.memory"]
