"""What a command of kubectl is, for kubectl.py and the tables of commands."""
import dataclasses
import json
import shlex

# How the output is compared.
# TEXT: line by line. EXPLAIN: without prose. DOCUMENT: JSON but for its descriptions. JSON_LINES: such in each line.
# OBJECT: YAML or JSON, managedFields in any order, since the times that order them may differ.
TEXT, EXPLAIN, DOCUMENT, JSON_LINES, OBJECT = range(5)


@dataclasses.dataclass
class Command:
    arguments: list
    stdin: str = ""
    kind: int = TEXT
    editor: str = ""  # what `kubectl edit` calls, with the name of the file behind it
    files: dict = dataclasses.field(default_factory=dict)  # text of files that it reads, by name
    for_upstream: bool = False  # not compared: makes there what knarr's controllers make

    def __str__(self):
        return shlex.join(self.arguments)


def k(line, stdin="", **more):
    return Command(shlex.split(line), stdin if isinstance(stdin, str) else manifest(stdin), **more)


def manifest(*objects):
    """Objects as a stream of documents (JSON is YAML)."""
    return "\n---\n".join(json.dumps(o) for o in objects)


def in_namespace(namespace, lines):
    """Each line or command in a namespace of its own, which is made before and has what a controller puts into it."""
    yield k(f"create namespace {namespace}")
    yield k(f"-n {namespace} create serviceaccount default", for_upstream=True)
    yield k(f"-n {namespace} create configmap kube-root-ca.crt --from-literal=ca.crt=x", for_upstream=True)
    for command in lines:
        command = k(command) if isinstance(command, str) else command
        if {"--show-managed-fields", "-o"} <= set(command.arguments) and set(command.arguments) & {"yaml", "json"} and not command.kind:
            command.kind = OBJECT
        command.arguments = ["-n", namespace, *command.arguments]
        yield command


def thing(api_version, kind, name, **members):
    metadata = {"name": name, **members.pop("metadata", {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **members}


def pod(name, labels=None, **spec):
    return thing("v1", "Pod", name, metadata={"labels": labels or {"app": name}},
                 spec={"containers": [{"name": "c", "image": "registry.example/c:1"}], "schedulerName": "nobody", **spec})


def deployment(name, replicas=2, **spec):
    labels = {"app": name}
    return thing("apps/v1", "Deployment", name, metadata={"labels": labels},
                 spec={"replicas": replicas, "selector": {"matchLabels": labels},
                       "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "registry.example/c:1"}]}}, **spec})


def config_map(name, data=None, **metadata):
    return thing("v1", "ConfigMap", name, metadata=metadata, data=data or {"a": "1"})
