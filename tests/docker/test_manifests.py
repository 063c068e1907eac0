"""What docker/ hands to Docker, Kubernetes and Ray: their schemas take it, its files agree, it holds no secret."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import ray.autoscaler
import yaml
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr

DOCKER = Path(__file__).parents[2] / "docker"
KUBERNETES = "1.35"


def load(name: str) -> Any:
    return yaml.safe_load((DOCKER / name).read_text(encoding="utf-8"))


COMPOSE, RAY_UP = load("compose.yaml"), load("ray-up.yaml")
CLUSTER, JOB = load("kubernetes/raycluster.yaml"), load("kubernetes/rayjob.yaml")
GROUPS = {"head": CLUSTER["spec"]["headGroupSpec"]} | {
    group["groupName"]: group for group in CLUSTER["spec"]["workerGroupSpecs"]
}
OURS = {name: service for name, service in COMPOSE["services"].items() if service["image"] == "sweeper"}

# https://ray-project.github.io/kuberay/reference/api/
FIELDS = {
    "RayJobSpec": {
        "entrypoint",
        "backoffLimit",
        "submissionMode",
        "shutdownAfterJobFinishes",
        "ttlSecondsAfterFinished",
        "runtimeEnvYAML",
        "rayClusterSpec",
    },
    "RayClusterSpec": {
        "rayVersion",
        "authOptions",
        "enableInTreeAutoscaling",
        "headGroupSpec",
        "workerGroupSpecs",
    },
    "AuthOptions": {"mode"},
    "HeadGroupSpec": {"rayStartParams", "template"},
    "WorkerGroupSpec": {"groupName", "minReplicas", "maxReplicas", "rayStartParams", "template"},
}


def test_compose_takes_the_compose_file():
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    checked = subprocess.run(
        [*command, str(DOCKER / "compose.yaml")], capture_output=True, text=True, timeout=120
    )
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("name", GROUPS)
def test_kubernetes_takes_the_pods(name):
    pod = {"apiVersion": "v1", "kind": "PodTemplate", "template": GROUPS[name]["template"]}
    assert kubernetes_validate.validate(pod, KUBERNETES, strict=True) == KUBERNETES


def test_the_fields_for_kuberay_are_those_of_its_reference():
    spec = CLUSTER["spec"]
    assert CLUSTER["apiVersion"] == JOB["apiVersion"] == "ray.io/v1"
    assert (CLUSTER["kind"], JOB["kind"]) == ("RayCluster", "RayJob")
    assert JOB["spec"].keys() <= FIELDS["RayJobSpec"]
    assert JOB["spec"]["submissionMode"] in {"K8sJobMode", "HTTPMode"}
    assert spec.keys() <= FIELDS["RayClusterSpec"]
    assert spec["authOptions"].keys() <= FIELDS["AuthOptions"]
    for name, group in GROUPS.items():
        assert group.keys() <= FIELDS["HeadGroupSpec" if name == "head" else "WorkerGroupSpec"]


def test_ray_s_autoscaler_reads_what_the_groups_hold():
    named = CLUSTER | {"metadata": {"name": "sweeper", "namespace": "default"}}
    types = _derive_autoscaling_config_from_ray_cr(named)["available_node_types"]
    found = {name: (kind["resources"].get("CPU"), kind["max_workers"]) for name, kind in types.items()}
    assert found == {"headgroup": (0, 0), "on-demand": (4, 4), "spot": (4, 16)}
    assert types["on-demand"]["resources"]["on_demand"] == types["spot"]["resources"]["spot"] == 4


def test_ray_up_takes_its_file():
    schema = Path(ray.autoscaler.__file__).with_name("ray-schema.json").read_text(encoding="utf-8")
    jsonschema.validate(RAY_UP, json.loads(schema))
    assert RAY_UP["head_node_type"] in RAY_UP["available_node_types"]


def test_a_job_s_cluster_is_the_cluster():
    assert JOB["spec"]["rayClusterSpec"] == CLUSTER["spec"]


def test_images_and_versions_are_pinned_and_agree():
    constraints = (DOCKER / "constraints.txt").read_text(encoding="utf-8")
    pinned = dict(line.split("==") for line in constraints.splitlines() if not line.startswith("#"))
    assert pinned["ray"] == CLUSTER["spec"]["rayVersion"]
    base = re.search(r"^ARG BASE_IMAGE=python:(\S+)$", (DOCKER / "Dockerfile").read_text(), re.MULTILINE)
    assert base is not None
    assert re.fullmatch(r"\d+\.\d+\.\d+-slim-\w+", base[1])
    assert re.fullmatch(r"\S+:\d+\.\d+", COMPOSE["services"]["storage"]["image"])
    containers = [group["template"]["spec"]["containers"][0] for group in GROUPS.values()]
    assert {container["image"] for container in containers} == {RAY_UP["docker"]["image"]}


def test_every_node_and_driver_gets_storage_and_its_credentials():
    for name, service in OURS.items():
        assert service["environment"]["SWEEPER_STORAGE"] == "s3://sweeper/sweeps", name
        assert service["environment"]["RAY_AUTH_MODE"] == "token"
    for group in GROUPS.values():
        container = group["template"]["spec"]["containers"][0]
        assert [variable["name"] for variable in container["env"]] == ["SWEEPER_STORAGE"]
        assert container["envFrom"] == [{"secretRef": {"name": "sweeper-storage"}}]
        assert group["template"]["spec"]["securityContext"] == {"runAsNonRoot": True}
    assert re.search(r"^USER \d+$", (DOCKER / "Dockerfile").read_text(), re.MULTILINE)


def test_services_find_each_other_and_only_this_machine_finds_them():
    services = COMPOSE["services"]
    port = {
        name: service["ports"][0].rpartition(":")[2]
        for name, service in services.items()
        if "ports" in service
    }
    assert services["worker"]["environment"]["AWS_ENDPOINT_URL"] == f"http://storage:{port['storage']}"
    assert services["dashboard"]["environment"]["AWS_ENDPOINT_URL"] == f"http://127.0.0.1:{port['storage']}"
    assert f"http://head:{port['head']}" in services["service"]["command"]
    assert "--port=6379" in services["head"]["entrypoint"]
    assert "--address=head:6379" in services["worker"]["entrypoint"]
    assert all(
        published.startswith("127.0.0.1:")
        for each in services.values()
        for published in each.get("ports", [])
    )


def test_compose_asks_for_what_the_example_of_its_settings_names():
    settings = dict(re.findall(r"^(\w+)=(.*)$", (DOCKER / ".env.example").read_text(), re.MULTILINE))
    asked = re.findall(r"\$\{(\w+)", (DOCKER / "compose.yaml").read_text())
    assert set(asked) == set(settings)
    assert {name for name, value in settings.items() if value} == {"WORKER_CPUS"}


def test_the_job_asks_for_resources_that_a_group_has():
    custom, most = re.findall(
        r"resources/custom/(\w+)=1 resources/concurrency=(\d+)", JOB["spec"]["entrypoint"]
    )[0]
    spot = GROUPS["spot"]
    each = json.loads(spot["rayStartParams"]["resources"].strip('"').replace("\\", ""))[custom]
    assert int(most) <= each * spot["maxReplicas"]
    assert RAY_UP["available_node_types"]["spot"]["resources"] == {custom: each}


def test_a_job_that_is_stopped_drains():
    environment = yaml.safe_load(JOB["spec"]["runtimeEnvYAML"])["env_vars"]
    assert environment["RAY_JOB_STOP_SIGNAL"] == "SIGINT"
    assert int(environment["RAY_JOB_STOP_WAIT_TIME_S"]) > 60


def test_no_secret_is_written_down():
    for name, service in COMPOSE["services"].items():
        secrets = {key: value for key, value in service["environment"].items() if re.search("KEY|TOKEN", key)}
        assert {"AWS_SECRET_ACCESS_KEY"} <= secrets.keys(), name
        # With :? compose refuses to start without.
        assert all(value.startswith(f"${{{key}:?") for key, value in secrets.items()), name
    assert not any("TOKEN" in option or "KEY" in option for option in RAY_UP["docker"]["run_options"])
