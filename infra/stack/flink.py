"""The Flink cluster: a JobManager and one or two TaskManagers from the wheel's jars, and the stream job on them."""

from __future__ import annotations

import importlib.util
import shlex
import sys
from pathlib import Path

import psutil

from contracts.settings import Settings
from infra.stack.health import http_json
from infra.stack.java import java_binary
from infra.stack.unit import Unit

JOBMANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
TASKMANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
LOG4J = Path(__file__).with_name("log4j2.properties")
# What Flink's own configuration opens on Java 17.
JAVA_17 = (
    *(
        f"--add-exports=jdk.compiler/com.sun.tools.javac.{name}=ALL-UNNAMED"
        for name in ("api", "file", "parser")
    ),
    *(f"--add-exports=jdk.compiler/com.sun.tools.javac.{name}=ALL-UNNAMED" for name in ("tree", "util")),
    "--add-exports=java.rmi/sun.rmi.registry=ALL-UNNAMED",
    "--add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED",
    *(
        f"--add-opens=java.base/{name}=ALL-UNNAMED"
        for name in ("java.lang", "java.net", "java.io", "java.nio")
    ),
    *(
        f"--add-opens=java.base/{name}=ALL-UNNAMED"
        for name in ("sun.nio.ch", "java.lang.reflect", "java.text")
    ),
    *(f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in ("time", "util", "util.concurrent")),
    "--add-opens=java.base/java.util.concurrent.atomic=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent.locks=ALL-UNNAMED",
)
# The TaskManager's memory in MiB. Started without Flink's shell scripts it wants every part named; heap is
# framework + task, direct memory is framework off-heap + task off-heap + network.
FRAMEWORK_HEAP = 128
MANAGED = {"hashmap": 64, "rocksdb": 512}
FRAMEWORK_OFF_HEAP, TASK_OFF_HEAP, NETWORK = 96, 32, 96
METASPACE = 256
JOBMANAGER_HEAP = 512
# The JobManager starts, compiles plans and waits: what C2 would compile for minutes is not worth its start.
QUICK_START = "-XX:TieredStopAtLevel=1"
# A row waits for a collection: with the 200 ms that are the default, freshness at p99 was 530 ms, with these 330.
SHORT_PAUSES = "-XX:MaxGCPauseMillis=50"
# How long a unit may take to start: a JVM on a busy machine.
NICENESS = 3
"""Half the weight of another unit: what comes at once, a checkpoint or the end of a window, waits for requests rather than they for it."""
LIMIT_SECONDS = 300
# Of every cluster: a lost TaskManager is noticed within seconds, and what is asked of the job is not older than half a second.
WATCH = {"heartbeat.interval": "1000", "heartbeat.timeout": "6000", "metrics.fetcher.update-interval": "500"}


def flink_units(settings: Settings, root: Path) -> list[Unit]:
    """JobManager, TaskManager, the command that submits the stream job, and on demand a second TaskManager."""
    lib = pyflink_home() / "lib"
    needs = (lib, root / "jars" / "flink")
    classpath = f"{lib}/*:{root}/jars/flink/*"
    return [
        Unit(
            name="flink-jobmanager",
            command=_java(
                classpath,
                (f"-Xmx{JOBMANAGER_HEAP}m", "-Xms128m", QUICK_START),
                JOBMANAGER,
                conf_folder(settings),
            ),
            healthy=lambda: http_json(f"{settings.flink_url}/overview") is not None,
            ports=("flink_rest", "flink_rpc"),
            needs=needs,
            limit_seconds=LIMIT_SECONDS,
            prepare=lambda: write_config(settings),
            niceness=NICENESS,
        ),
        _taskmanager(settings, "flink-taskmanager", "flink_task", classpath, needs),
        Unit(
            name="flink-job",
            command=(sys.executable, "-m", "flink_jobs"),
            healthy=lambda: job_runs(settings),
            depends_on=("kafka", "flink-jobmanager", "flink-taskmanager"),
            env={"FLINK_CONF_DIR": str(conf_folder(settings))},
            once=True,
            limit_seconds=LIMIT_SECONDS,
        ),
        _taskmanager(settings, "flink-taskmanager-2", "flink_task_2", classpath, needs),
    ]


def _taskmanager(settings: Settings, name: str, port: str, classpath: str, needs: tuple[Path, ...]) -> Unit:
    heap, direct = (
        FRAMEWORK_HEAP + mebibytes(settings.stream_heap),
        FRAMEWORK_OFF_HEAP + TASK_OFF_HEAP + NETWORK,
    )
    memory = (f"-Xmx{heap}m", "-Xms256m", SHORT_PAUSES, f"-XX:MaxDirectMemorySize={direct}m")
    command = (
        *_java(classpath, memory, TASKMANAGER, conf_folder(settings)),
        f"-Dtaskmanager.rpc.port={settings.port(port)}",
    )
    return Unit(
        name=name,
        command=_named(_name_file(settings, name), command),
        healthy=lambda: _registered(settings, name),
        ports=(port,),
        depends_on=("flink-jobmanager",),
        needs=needs,
        limit_seconds=LIMIT_SECONDS,
        prepare=lambda: write_config(settings),
        niceness=NICENESS,
    )


def pyflink_home() -> Path:
    """Where the apache-flink wheel lies; it carries a whole Flink."""
    found = importlib.util.find_spec("pyflink")
    return Path(found.origin).parent if found and found.origin else Path("pyflink")


def mebibytes(memory: str) -> int:
    """Of a setting like 640m or 4g."""
    return int(memory[:-1]) * {"m": 1, "g": 1024}[memory[-1]]


def conf_folder(settings: Settings) -> Path:
    """FLINK_CONF_DIR of the cluster and of whoever submits to it."""
    return settings.run / "flink"


def _java(classpath: str, memory: tuple[str, ...], main: str, conf: Path) -> tuple[str, ...]:
    return (
        java_binary(),
        *memory,
        f"-XX:MaxMetaspaceSize={METASPACE}m",
        "-XX:+ExitOnOutOfMemoryError",
        *JAVA_17,
        f"-Dlog4j.configurationFile={LOG4J}",
        "-cp",
        classpath,
        main,
        "--configDir",
        str(conf),
    )


def _named(note: Path, command: tuple[str, ...]) -> tuple[str, ...]:
    """A TaskManager's command with its process id as its name in the cluster, so that a dead one is told apart."""
    start = (
        f"echo taskmanager-$$ > {shlex.quote(str(note))}"
        f" && exec {shlex.join(command)} -Dtaskmanager.resource-id=taskmanager-$$"
    )
    return ("/bin/sh", "-c", start)


def _name_file(settings: Settings, unit: str) -> Path:
    return conf_folder(settings) / f"{unit}.id"


def write_config(settings: Settings) -> None:
    """Write `config.yaml`, flat keys."""
    folder = conf_folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    (settings.var / "flink" / "tmp").mkdir(parents=True, exist_ok=True)
    lines = [f"{key}: {value}" for key, value in cluster_config(settings).items()]
    (folder / "config.yaml").write_text("\n".join(lines) + "\n")


def cluster_config(settings: Settings) -> dict[str, str]:
    """Loopback and the TaskManager's memory, beside what every cluster has.

    Parallelism, restarts, state and checkpoints are the job's own (`flink_jobs.job`).
    """
    host = settings.host
    tmp = str(settings.var / "flink" / "tmp")
    return {
        "jobmanager.rpc.address": host,
        "jobmanager.rpc.port": str(settings.port("flink_rpc")),
        "jobmanager.bind-host": host,
        "rest.address": host,
        "rest.bind-address": host,
        "rest.port": str(settings.port("flink_rest")),
        "rest.bind-port": str(settings.port("flink_rest")),
        "taskmanager.host": host,
        "taskmanager.bind-host": host,
        "taskmanager.numberOfTaskSlots": str(settings.stream_slots),
        # Else the first TaskManager takes all it has slots for.
        "taskmanager.load-balance.mode": "SLOTS",
        "io.tmp.dirs": tmp,
        "blob.storage.directory": tmp,
        **WATCH,
        # Of all checkpoint settings the one that the JobManager reads from its own configuration.
        "execution.checkpointing.num-retained": "3",
        **_worker_memory(settings),
    }


def _worker_memory(settings: Settings) -> dict[str, str]:
    part = "taskmanager.memory"
    return {
        "taskmanager.cpu.cores": "2",
        f"{part}.framework.heap.size": f"{FRAMEWORK_HEAP}m",
        f"{part}.task.heap.size": f"{mebibytes(settings.stream_heap)}m",
        f"{part}.managed.size": f"{MANAGED[settings.stream_state]}m",
        f"{part}.framework.off-heap.size": f"{FRAMEWORK_OFF_HEAP}m",
        f"{part}.task.off-heap.size": f"{TASK_OFF_HEAP}m",
        f"{part}.network.min": f"{NETWORK}m",
        f"{part}.network.max": f"{NETWORK}m",
        f"{part}.jvm-metaspace.size": f"{METASPACE}m",
        f"{part}.jvm-overhead.min": "192m",
        f"{part}.jvm-overhead.max": "192m",
    }


def _registered(settings: Settings, unit: str) -> bool:
    """True when the JobManager knows this unit's TaskManager, and none that is dead."""
    found = (http_json(f"{settings.flink_url}/taskmanagers") or {}).get("taskmanagers", [])
    known = {one["id"] for one in found}
    return _name(_name_file(settings, unit)) in known <= living(settings)


def living(settings: Settings) -> set[str]:
    """The names of the TaskManagers whose processes are there."""
    names = {_name(path) for path in conf_folder(settings).glob("*.id")}
    return {name for name in names if psutil.pid_exists(int(name.rpartition("-")[2] or 0))}


def _name(path: Path) -> str:
    return path.read_text().strip() if path.is_file() else ""


def job_runs(settings: Settings) -> bool:
    """True when a job of today's query runs with every one of its tasks on a TaskManager that lives.

    Just after a kill the JobManager still calls the lost tasks RUNNING; their TaskManager's name gives them away.
    """
    jobs = (http_json(f"{settings.flink_url}/jobs") or {}).get("jobs", [])
    from flink_jobs.job import stream_job  # the stack alone needs it, and not every image of infra has it

    query = stream_job(settings).fingerprint
    running = [job["id"] for job in jobs if job["status"] == "RUNNING" and job["id"].startswith(query)]
    good = {("RUNNING", name) for name in living(settings)}
    return any(places and places <= good for places in (_places(settings, job) for job in running))


def _places(settings: Settings, job: str) -> set[tuple[str, str]]:
    """(status, TaskManager) of every task of a job."""
    url = f"{settings.flink_url}/jobs/{job}"
    vertices = (http_json(url) or {}).get("vertices", [])
    details = [http_json(f"{url}/vertices/{vertex['id']}") or {"subtasks": [{}]} for vertex in vertices]
    return {
        (task.get("status", ""), task.get("taskmanager-id", ""))
        for detail in details
        for task in detail["subtasks"]
    }
