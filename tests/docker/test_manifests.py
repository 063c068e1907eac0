"""What docker/ hands to Docker, Kubernetes and Ray: their schemas take it, its files agree, it holds no secret."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import botocore.session
import jsonschema
import kubernetes_validate
import pytest
import ray.autoscaler
import yaml
from botocore.validate import ParamValidator
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version
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
DOCKERFILE = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
PINNED = {
    name: Version(version)
    for name, version in re.findall(
        r"^(\S+)==(\S+)$", (DOCKER / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE
    )
}
OURS = {name: service for name, service in COMPOSE["services"].items() if service["image"] == "sweeper"}

# https://docs.ray.io/en/latest/cluster/kubernetes/references/api.html
FIELDS = {
    "RayJobSpec": {
        "entrypoint": str,
        "backoffLimit": int,
        "submissionMode": str,
        "shutdownAfterJobFinishes": bool,
        "ttlSecondsAfterFinished": int,
        "runtimeEnvYAML": str,
        "rayClusterSpec": dict,
    },
    "RayClusterSpec": {
        "rayVersion": str,
        "authOptions": dict,
        "enableInTreeAutoscaling": bool,
        "headGroupSpec": dict,
        "workerGroupSpecs": list,
    },
    "AuthOptions": {"mode": str},
    "HeadGroupSpec": {"rayStartParams": dict, "template": dict},
    "WorkerGroupSpec": {
        "groupName": str,
        "minReplicas": int,
        "maxReplicas": int,
        "rayStartParams": dict,
        "template": dict,
    },
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
    for kind, manifest in (("RayCluster", CLUSTER), ("RayJob", JOB)):
        assert manifest.keys() == {"apiVersion", "kind", "metadata", "spec"}
        assert (manifest["apiVersion"], manifest["kind"]) == ("ray.io/v1", kind)
        assert manifest["metadata"].keys() == {"name"}
    held = {"RayJobSpec": [JOB["spec"]], "RayClusterSpec": [spec], "AuthOptions": [spec["authOptions"]]}
    held |= {"HeadGroupSpec": [spec["headGroupSpec"]], "WorkerGroupSpec": spec["workerGroupSpecs"]}
    for kind, each in held.items():
        for fields in each:
            assert {field: type(value) for field, value in fields.items()} == FIELDS[kind]
    assert spec["authOptions"]["mode"] == "token"
    assert JOB["spec"]["submissionMode"] in {"K8sJobMode", "HTTPMode"}
    # Kubernetes refuses numbers there: {num-cpus: 0}.
    assert {type(value) for group in GROUPS.values() for value in group["rayStartParams"].values()} == {str}


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


@pytest.mark.parametrize("name", RAY_UP["available_node_types"])
def test_aws_takes_the_machines_of_ray_up(name):
    # Ray adds how many, and looks for an image.
    request = RAY_UP["available_node_types"][name]["node_config"] | {"MinCount": 1, "MaxCount": 1}
    operation = botocore.session.Session().get_service_model("ec2").operation_model("RunInstances")
    assert not ParamValidator().validate(request, operation.input_shape).generate_report()


def test_a_job_s_cluster_is_the_cluster():
    assert JOB["spec"]["rayClusterSpec"] == CLUSTER["spec"]


def test_images_and_versions_are_pinned_and_agree():
    digest = r"@sha256:[0-9a-f]{64}"
    assert re.search(rf"^ARG BASE_IMAGE=python:\d+\.\d+\.\d+-slim-\w+{digest}$", DOCKERFILE, re.MULTILINE)
    assert re.fullmatch(rf"\S+:\d+\.\d+{digest}", COMPOSE["services"]["storage"]["image"])
    assert str(PINNED["ray"]) == CLUSTER["spec"]["rayVersion"]
    containers = [group["template"]["spec"]["containers"][0] for group in GROUPS.values()]
    assert {container["image"] for container in containers} == {RAY_UP["docker"]["image"]}


def test_the_image_s_packages_are_pinned_to_versions_that_the_project_takes():
    project = tomllib.loads((DOCKER.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = re.search(r"'\.\[(.+)\]'", DOCKERFILE)
    assert extras is not None
    wanted = [*project["dependencies"]]
    for extra in extras[1].split(","):
        wanted += project["optional-dependencies"][extra]
    for requirement in map(Requirement, wanted):
        assert PINNED[requirement.name] in requirement.specifier, requirement
    python = re.search(r"BASE_IMAGE=python:([\d.]+)", DOCKERFILE)
    assert python is not None
    assert python[1] in SpecifierSet(project["requires-python"])


def test_every_node_and_driver_gets_storage_and_its_credentials():
    for name, service in OURS.items():
        assert service["environment"]["SWEEPER_STORAGE"] == "s3://sweeper/sweeps", name
        assert service["environment"]["RAY_AUTH_MODE"] == "token"
    for group in GROUPS.values():
        container = group["template"]["spec"]["containers"][0]
        assert [variable["name"] for variable in container["env"]] == ["SWEEPER_STORAGE"]
        assert container["envFrom"] == [{"secretRef": {"name": "sweeper-storage"}}]
        assert group["template"]["spec"]["securityContext"] == {"runAsNonRoot": True}
    (user,) = re.findall(r"^USER (\d+)$", DOCKERFILE, re.MULTILINE)
    assert int(user) > 0


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
