"""Debian's python3-kubernetes against a fleet: python-client.py KUBECONFIG."""
import sys

from kubernetes import client, config, utils, watch
from kubernetes.stream import stream

config.load_kube_config(sys.argv[1])
core = client.CoreV1Api()
apps = client.AppsV1Api()
namespace = "python"
core.create_namespace({"metadata": {"name": namespace}})

# A watch from the version of a list sees each change once, in order.
start = core.list_namespaced_config_map(namespace).metadata.resource_version
body = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="settings"), data={"a": "1"})
core.create_namespaced_config_map(namespace, body)
core.patch_namespaced_config_map("settings", namespace, {"data": {"b": "2"}})
core.delete_namespaced_config_map("settings", namespace)
seen = []
for event in watch.Watch().stream(
    core.list_namespaced_config_map, namespace, resource_version=start, timeout_seconds=20
):
    seen.append((event["type"], event["object"].data))
    if event["type"] == "DELETED":
        break
assert seen == [
    ("ADDED", {"a": "1"}),
    ("MODIFIED", {"a": "1", "b": "2"}),
    ("DELETED", {"a": "1", "b": "2"}),
], seen

try:
    core.read_namespaced_config_map("settings", namespace)
    raise AssertionError("it is gone")
except client.ApiException as refusal:
    assert refusal.status == 404, refusal

labels = {"app": "python"}
utils.create_from_dict(
    client.ApiClient(),
    {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "python"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "edge-service-image:latest"}]},
            },
        },
    },
    namespace=namespace,
)
for event in watch.Watch().stream(
    core.list_namespaced_pod, namespace, label_selector="app=python", timeout_seconds=60
):
    conditions = event["object"].status.conditions or []
    if any(one.type == "Ready" and one.status == "True" for one in conditions):
        pod = event["object"].metadata.name
        break
printed = stream(
    core.connect_get_namespaced_pod_exec,
    pod,
    namespace,
    command=["node", "-p", "6 * 7"],
    stdout=True,
    stderr=True,
    stdin=False,
    tty=False,
)
assert printed.strip() == "42", printed
assert apps.read_namespaced_deployment_scale("python", namespace).status.replicas == 1
core.delete_namespace(namespace)
print("all well")
