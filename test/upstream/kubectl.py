#!/usr/bin/env python3
"""Runs the same kubectl commands against upstream's kube-apiserver and against knarr, and prints where their outputs differ.

    test/upstream/kubectl.py [--groups NAME,...] [--verbose] [PATH OF knarr]

Compared are stdout, stderr and the exit code, without what no two servers share (uids, times, ages, revisions, addresses); of
documents (`get --raw /openapi/...`) all but their descriptions, and of `explain` all but its prose: knarr's is in words of its own.
The differences in KNOWN are meant, each for its reason; any other one fails the run. The commands are in kubectl_*.py."""
import argparse
import concurrent.futures
import difflib
import json
import os
import re
import subprocess
import sys

import yaml

import kubectl_access
import kubectl_bad
import kubectl_cluster
import kubectl_objects
import kubectl_reads
import kubectl_workloads
from compare import cleaned
from kubectl_commands import DOCUMENT, EXPLAIN, JSON_LINES, OBJECT
from pair import HERE, Pair, differences

# "health" is first: it looks at what a new server has.
GROUPS = {"health": kubectl_cluster.health, "discovery": kubectl_reads.discovery, "explain": kubectl_reads.explain, "openapi": kubectl_reads.openapi,
          "get": kubectl_objects.get, "apply": kubectl_objects.apply, "patch": kubectl_objects.patch, "create": kubectl_objects.create,
          "delete": kubectl_objects.delete, "describe": kubectl_objects.describe, "workloads": kubectl_workloads.commands,
          "custom": kubectl_workloads.custom, "access": kubectl_access.commands, "nodes": kubectl_cluster.nodes,
          "certificates": kubectl_cluster.certificates, "bad": kubectl_bad.commands}
QUICK = ["discovery", "apply"]

CONTROLLERS = "controllers and the scheduler run here, and not beside upstream's API server alone"
# (group, in the command, in a line that differs, why): regular expressions.
KNOWN = [
    ("discovery|health|access", r"^version|/version", r"gitVersion|gitCommit|gitTreeState|goVersion|compiler|Server Version",
     "knarr's own version, and it is not made by Go"),
    ("discovery|health", r"--raw /(api/?|\.well-known.*)$", r"serverAddress|jwks_uri", "the server's own address, and keys of another kind"),
    ("access", r"--as-group=x$", r"for (u|admin) without", "the name in the kubeconfig"),
    ("health", r"--raw /$", r'"/(healthz|livez|readyz)/|"/(flagz|statusz|metrics/slis|debug|logs)', "other checks and debugging pages"),
    ("health", r"componentstatuses|get cs ", r"", "controllers and scheduler are in the server, and there is no etcd"),
    ("health", r"get apiservice", r"", "no APIServices are kept: there is no aggregation yet"),
    ("health", r"get endpoint|svc kubernetes", r"", "upstream runs without a reconciler of its endpoints"),
    ("health", r"extension-apiserver-authentication", r"", "for aggregated API servers, which are not there yet"),
    ("health", r"get servicecidr", r"finalizers:|service-cidr-finalizer|Service CIDR is ready", CONTROLLERS),
    ("create", r"get role,rolebinding,quota", r"resourcequota", CONTROLLERS),
    ("describe", r"ResourceQuota|PodDisruptionBudget|describe ns|^-n \w+ events", r"", CONTROLLERS),
    ("nodes", r"describe node|get nodes? -l kc$|get node kc", r"Taints|Events|Unknown|NotReady|Registered|----|Reason", CONTROLLERS),
    ("delete", r"delete deploy,svc,pods", r"deployment|No resources found", "nobody collects garbage beside upstream's API server alone"),
    ("patch|custom", r"--type=(merge|json)", r"patch: Invalid value", "the object's members stand in another order"),
    ("bad", r"create -f", r"allowPrivilegeEscalation", "shown as a Go structure of upstream's"),
]


def normalized(text):
    """Without what no two servers share."""
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}", "<uid>", text)
    text = re.sub(r"20\d\d-\d\d-\d\d[T ][\d:.]+(Z|( [+-]\d{4})?)", "<time>", text)
    text = re.sub(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} 20\d\d [\d:]+ [+-]\d{4}", "<time>", text)
    text = re.sub(r"\beyJ[\w-]+\.[\w-]+\.[\w-]+", "<token>", text)
    text = re.sub(r"(resourceVersion\W+|Resource Version: +|resource version to be \d+, was )\d+", r"\1<revision>", text)
    text = re.sub(r"\b10\.96\.\d+\.\d+\b", "<service address>", text)
    text = re.sub(r"127\.0\.0\.1:\d+", "<server>", text)
    text = re.sub(r"\b3[0-2]\d{3}\b(?=/TCP|/UDP|$)", "<node port>", text, flags=re.M)
    text = re.sub(r"/tmp/(LIVE|MERGED)-\d+", r"/tmp/\1", text)
    text = re.sub(r"kubectl-1\.36\.\d+-edit-\d+", "kubectl-edit-<random>", text)
    text = re.sub(r"^([WEI])\d{4} [\d:.]+ +\d+ ", r"\1 ", text, flags=re.M)  # what client-go logs
    text = re.sub(r"(Bad_|debugger-)[bcdfghjklmnpqrstvwxz2-9]{5}\b", r"\1<random>", text)
    # kubectl tells why it does not drain in the order of a Go map.
    text = re.sub(r"(?<=due to error: \[)cannot (.*)(?=\], continuing)", lambda m: ", ".join(sorted(m[1].split(", cannot "))), text)
    text = re.sub(r"X509SHA256=[0-9a-f]{64}", "X509SHA256=<digest>", text)
    text = re.sub(r"\b192\.0\.2\.\d+:\d+|0x[0-9a-f]{6,}\??", "<address>", text)
    text = re.sub(r"kube-api-access-[a-z0-9]{5}", "kube-api-access-<random>", text)
    text = re.sub(r"(?<=[\s(])(\d+(\.\d+)?(ms|[smhd]))+( ago)?(?=[\s)]|$)", "<age>", text, flags=re.M)
    text = re.sub(r"(?<=\s)<invalid>(?=\s|$)", "<age>", text, flags=re.M)  # a clock that is a second off
    # Columns are as wide as what was replaced in them.
    return re.sub(r"(?<=\S) {2,}", "  ", re.sub(r" +$", "", text, flags=re.M))


def explained(text):
    """The structure of what `explain` prints: sections, fields, types and enumerations, without prose."""
    out, enumeration = [], False
    for line in text.splitlines():
        if line.strip():
            enumeration = enumeration or line == "ENUM:"
        else:
            enumeration = False
        if line[:1].strip() or enumeration or re.search(r"\t<|^ +enum: ", line):
            out.append(line)
    return "\n".join(out)


def structure(value, root):
    """A document without descriptions, with shared parameters where they are used, in the order of their names."""
    if isinstance(value, dict):
        reference = value.get("$ref")
        if isinstance(reference, str) and reference.startswith("#/parameters/"):
            value = root["parameters"][reference.rsplit("/", 1)[1]]
        out = {k: structure(v, root) for k, v in value.items() if k != "description" or not isinstance(v, str)}
        if value is root:
            out.pop("parameters", None)
        if isinstance(out.get("serverRelativeURL"), str):
            out["serverRelativeURL"] = out["serverRelativeURL"].split("?")[0]  # the rest is a hash of the document
        return out
    if isinstance(value, list):
        return [structure(v, root) for v in value]
    return value


class Side:
    """One of the two servers, as kubectl sees it."""

    def __init__(self, kubectl, kubeconfig, work):
        self.kubectl = kubectl
        self.files = os.path.join(work, "files")
        os.makedirs(self.files, exist_ok=True)
        self.environment = {"PATH": os.environ["PATH"], "HOME": work, "KUBECONFIG": kubeconfig, "KUBECACHEDIR": kubeconfig + ".cache",
                            "TMPDIR": "/tmp", "KUBECTL_EXTERNAL_DIFF": "diff -u -N"}

    def run(self, command):
        for name, text in command.files.items():
            with open(os.path.join(self.files, name), "w") as f:
                f.write(text)
        environment = dict(self.environment)
        if command.editor:
            environment["KUBE_EDITOR"] = command.editor
        try:
            done = subprocess.run([self.kubectl, *command.arguments], capture_output=True, text=True, input=command.stdin or "",
                                  env=environment, cwd=self.files, timeout=60)
        except subprocess.TimeoutExpired:
            return None, "", "did not end\n"
        return done.returncode, done.stdout, done.stderr


def lines_that_differ(up, kn, mark):
    if up == kn:
        return []
    diff = difflib.unified_diff(up.splitlines(), kn.splitlines(), lineterm="", n=0)
    return [f"{mark} {line[:1]}{line[1:]}" for line in diff if line[:2] not in ("--", "++", "@@")]


def compare(command, up, kn):
    """What differs, as lines: '-' upstream's, '+' knarr's."""
    if up[0] != kn[0]:
        yield f"exit -{up[0]} +{kn[0]}"
    # Warnings come in no order where they are about the members of a map.
    yield from lines_that_differ(*("\n".join(sorted(normalized(text).splitlines())) for text in (up[2], kn[2])), "stderr")
    if command.kind in (DOCUMENT, JSON_LINES) and up[0] == kn[0] == 0:
        documents = [[json.loads(line) for line in text.splitlines()] if command.kind == JSON_LINES else json.loads(text) for text in (up[1], kn[1])]
        yield from differences(*(cleaned(structure(document, document)) for document in documents))
        return
    if command.kind == OBJECT and up[0] == kn[0] == 0:
        yield from differences(*(cleaned(yaml.safe_load(text)) for text in (up[1], kn[1])))
        return
    clean = explained if command.kind == EXPLAIN else normalized
    yield from lines_that_differ(clean(up[1]), clean(kn[1]), "stdout")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("knarr", nargs="?")
    parser.add_argument("--groups", help="only these, separated by commas: " + ", ".join(GROUPS))
    parser.add_argument("--quick", action="store_true", help="a short selection: " + ", ".join(QUICK))
    parser.add_argument("--verbose", action="store_true", help="show known differences, too")
    parser.add_argument("--lines", type=int, default=12, help="how many lines of a difference are shown")
    parser.add_argument("--kubeconfigs", nargs=2, help="of servers that run already: upstream's, knarr's")
    options = parser.parse_args()
    kubectl = subprocess.run([os.path.join(HERE, "build.sh"), "kubectl"], check=True, capture_output=True, text=True).stdout.strip()
    groups = options.groups.split(",") if options.groups else QUICK if options.quick else list(GROUPS)
    # Nodes are not heard of here.
    with Pair(options.knarr, "--log-level", "error", "--node-monitor-grace-period", "1h") as pair:
        sides = [Side(kubectl, os.path.join(directory, "kubeconfig"), os.path.join(pair.work, name))
                 for name, directory in (("up", pair.up_dir), ("kn", pair.kn_dir))]
        return run(sides, groups, options)


def known_reason(group, command, line):
    return next((why for groups, where, what, why in KNOWN
                 if re.fullmatch(groups, group) and re.search(where, str(command)) and re.search(what, line)), None)


def run(sides, groups, options):
    count = unknown = 0
    reasons = {}
    with concurrent.futures.ThreadPoolExecutor(2) as both:
        for group in groups:
            for command in GROUPS[group]():
                if command.for_upstream:  # what knarr's controllers make, and nobody does beside upstream's API server alone
                    sides[0].run(command)
                    continue
                up, kn = both.map(lambda side: side.run(command), sides)
                count += 1
                found = []
                for line in compare(command, up, kn):
                    reason = known_reason(group, command, line)
                    if reason is None:
                        found.append(line)
                    else:
                        reasons.setdefault(reason, set()).add(str(command))
                        if options.verbose:
                            print(f"known: {command}\n    {line[:300]}")
                if found:
                    unknown += 1
                    print(f"{group}: kubectl {command}")
                    for line in found[:options.lines]:
                        print("   ", line[:500])
                    if len(found) > options.lines:
                        print(f"    and {len(found) - options.lines} more", flush=True)
    known = set().union(*reasons.values()) if reasons else set()
    for reason in sorted(reasons):
        print(f"known in {len(reasons[reason])} commands: {reason}")
    print(f"{count} commands, {unknown} differ; {len(known)} differ as they may")
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
