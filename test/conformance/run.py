"""Runs upstream's conformance tests against a fresh knarr: builds what is missing, starts the cluster, runs, compares with what passed before."""
import argparse
import collections
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

from cluster import Nodes, harness

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(ROOT, "build/conformance")
QUICK = ("apimachinery", "common", "instrumentation")  # what suite/quick_test.go takes along
EXPECTED = os.path.join(HERE, "expected.tsv")
# The images that conformance tests run, by the beginnings of their names.
IMAGES = ("pause", "busybox", "agnhost", "nginx", "nonroot", "nonewprivs", "kitten", "nautilus", "glibc-dns-testing")
CLASSES = {"A1": "the API server alone", "A2": "and its controllers", "B": "pods", "N": "pods and the cluster's network"}

# What a failure's text says about its cause; the first that matches counts.
CAUSES = [
    ("custom resources", r"CustomResourceDefinition|\bcrd\b|customresource"),
    ("kind or subresource not served", r"could not find the requested resource|no matches for kind|doesn't have a resource type|failed to find expected"),
    ("method or content type not served", r"does not allow this method|unsupported media type|not acceptable|content type"),
    ("service accounts, tokens", r"service ?account|token"),
    ("webhooks", r"webhook"),
    ("aggregated API servers", r"aggregat|sample-apiserver|apiservice"),
    ("workload controllers", r"replica ?set|deployment|stateful ?set|daemon ?set|replication ?controller|\bjobs?\b|cronjob|replicas|pods? to be created|found 0 /"),
    ("quotas and limits", r"quota|limitrange"),
    ("services, endpoints, DNS", r"endpoint|\bservices?\b|\bdns\b|\bdig\b|nslookup|cluster ?ip|not reachable"),
    ("persistent volumes", r"persistentvolume|\bpvc?s?\b|\bclaim|storageclass|\bcsi\b"),
    ("images", r"imagepullbackoff|errimagepull"),
    ("who may do what", r"forbidden|podsecurity|unauthorized"),
    ("garbage collection", r"garbage|orphan|ownerreference"),
    ("the time was up", r"timed? ?out|deadline"),
]


def say(*words):
    print(*words, flush=True)


def options():
    parser = argparse.ArgumentParser(prog="run.sh", description="Runs upstream's conformance tests against a fresh knarr.")
    parser.add_argument("--class", dest="classes", default="all", help="A1, A2, B, N, several with commas, or all")
    parser.add_argument("--focus", default="", metavar="REGEX", help="only tests whose name it finds")
    parser.add_argument("--skip", default="", metavar="REGEX", help="not the tests whose name it finds")
    parser.add_argument("--expected", action="store_true", help="only the tests that are expected to pass")
    parser.add_argument("--parallel", type=int, default=8, metavar="N", help="tests at once (they mostly wait); what is Serial runs alone, at the end")
    parser.add_argument("--limit", type=int, default=90, metavar="SECONDS",
                        help="what a step of a test may take, where classes.tsv does not give it more; 0 for upstream's own limits")
    parser.add_argument("--nodes", type=int, default=2, metavar="N", help="nodes of the cluster")
    parser.add_argument("--quick", action="store_true",
                        help="what every change runs: expected and short tests of classes A1 and A2, from a suite of fewer packages; one node")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="the suite speaks JSON (the default here)")
    form.add_argument("--protobuf", action="store_true", help="the suite speaks protobuf, as is its own default")
    parser.add_argument("--update", action="store_true", help="add to expected.tsv what passes now")
    return parser.parse_args()


def read_table(path):
    """The rows of a table as dictionaries."""
    if not os.path.exists(path):
        return []
    with open(path) as f:
        header, *rows = [line.rstrip("\n").split("\t") for line in f]
    return [dict(zip(header, row)) for row in rows]


def write_table(path, header, rows):
    with open(path + ".new", "w") as f:
        for row in [header, *rows]:
            f.write("\t".join(str(cell).replace("\t", " ").replace("\n", " ") for cell in row) + "\n")
    os.rename(path + ".new", path)


def build(name, sources, *command):
    """One of Go's programs, kept until a source is newer."""
    path = os.path.join(BUILD, name)
    if not os.path.exists(path) or os.path.getmtime(path) < max(map(os.path.getmtime, sources)):
        if not shutil.which("go"):
            sys.exit("run.sh: building the suite needs Go 1.26 or newer on the PATH (https://go.dev/dl)")
        begun = time.monotonic()
        environment = {"GOFLAGS": "-p=2", **os.environ}
        flags = "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3"
        at = 2 if command[0] == "test" else 1
        subprocess.run(["nice", "-n", "15", "go", *command[:at], "-ldflags", flags, "-o", path, *command[at:]], cwd=HERE, env=environment, check=True)
        os.utime(path)
        say(f"built {name} in {time.monotonic() - begun:.0f} s")
    return path


def build_suite(which):
    pins = [os.path.join(HERE, "go.mod")]
    runner = build("ginkgo", pins, "build", "github.com/onsi/ginkgo/v2/ginkgo")
    tags = ["-tags", which] if which != "all" else []
    suite = build(f"suite-{which}.test", pins + glob.glob(os.path.join(HERE, "suite/*.go")), "test", "-c", *tags, "./suite")
    return runner, suite


def choose(arguments, expected):
    """The tests to run: by name, their rows of classes.tsv."""
    wanted = list(CLASSES) if arguments.classes == "all" else arguments.classes.split(",")
    unknown = [name for name in wanted if name not in CLASSES]
    if unknown:
        sys.exit(f"run.sh: there is no class {unknown[0]}; there are {', '.join(CLASSES)} and all")
    if arguments.quick:
        wanted = [name for name in wanted if name.startswith("A")]
    return {row["test"]: row for row in read_table(os.path.join(HERE, "classes.tsv"))
            if row["class"] in wanted and re.search(arguments.focus, row["test"])
            and not (arguments.skip and re.search(arguments.skip, row["test"]))
            and (not (arguments.expected or arguments.quick) or row["test"] in expected)
            and (not arguments.quick or (row["seconds"] == "-" and row["package"].split("/")[0] in QUICK))}


def run_directory():
    """Where this run keeps what it writes; those of the last runs stay."""
    runs = sorted(glob.glob(os.path.join(BUILD, "run-*")), key=os.path.getmtime)
    for old in runs[:-16]:
        shutil.rmtree(old, ignore_errors=True)
    directory = os.path.join(BUILD, f"run-{time.strftime('%m%d-%H%M%S')}-{os.getpid()}")
    os.makedirs(directory)
    return directory


def run(tests, arguments, nodes, directory, runner, suite, attempt):
    """Runs tests by name; name → {state, seconds, failure, log}, logs below the run's directory."""
    results = os.path.join(directory, f"attempt-{attempt}")
    os.makedirs(results)
    longer = os.path.join(directory, "longer.tsv")
    with open(longer, "w") as f:
        f.writelines(f"{row['seconds']}\t{name}\n" for name, row in tests.items() if row["seconds"] != "-")
    focus = "^Kubernetes e2e suite (" + "|".join(re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", name) for name in tests) + ")$"
    content = "application/vnd.kubernetes.protobuf" if arguments.protobuf else "application/json"
    command = [runner, "run", f"--procs={min(arguments.parallel, len(tests))}", "--timeout=6h", "--no-color", "--silence-skips", suite, "--",
               f"--ginkgo.focus={focus}", f"--kubeconfig={nodes.cluster.kubeconfig}", f"--host={nodes.server}", "--provider=skeleton",
               f"--kube-api-content-type={content}", f"--kubectl-path={harness.kubectl_path()}", "--dump-logs-on-failure=false", "--disable-log-dump",
               f"--limit={arguments.limit}s", f"--longer={longer}", f"--results={results}", "--num-nodes=-1", "--allowed-not-ready-nodes=0", "--report-dir="]
    with open(os.path.join(results, "suite.log"), "w") as log:
        suite_run = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=directory, start_new_session=True)
        try:
            suite_run.wait()
        finally:
            if suite_run.poll() is None:
                os.killpg(suite_run.pid, signal.SIGKILL)
                suite_run.wait()
    found = {}
    for path in glob.glob(results + "/*.jsonl"):
        with open(path) as f:
            for line in f:
                entry = json.loads(line)
                if "log" in entry:
                    entry["log"] = f"attempt-{attempt}/{entry['log']}"
                found[entry["test"]] = entry
    return found


def first_line(entry):
    """What failed, in a line: the deepest error that the text tells."""
    lines = [line.strip() for line in entry.get("failure", "").splitlines() if line.strip()]
    lines = [line for line in lines if not re.match(r"^(\{|\}|<|s?: |occurred$|to |Expected|Told to stop|A node timeout)", line)] or lines
    return " ".join(lines[:2])[:240]


def cause(entry):
    text = entry["failure"] + " " + entry["test"] if entry else ""
    return next((name for name, pattern in CAUSES if re.search(pattern, text, re.I)), "other")


def report(tests, found, expected, directory):
    """Writes the table and prints the summary; answers the tests that should have passed and did not, and those that newly pass."""
    rows = []
    causes = collections.Counter()
    for kind, name in sorted((row["class"], name) for name, row in tests.items()):
        entry = found.get(name)
        state = entry["state"] if entry else "not run"
        why = ""
        if state != "passed":
            why = first_line(entry) if entry else ""
            causes[(kind, cause(entry) if entry else "not run")] += 1
        rows.append((name, kind, state, f"{entry['seconds']:.1f}" if entry else "-", cause(entry) if entry and state != "passed" else "-", why, entry.get("log", "-") if entry else "-"))
    write_table(os.path.join(directory, "results.tsv"), ("test", "class", "result", "seconds", "cause", "failure", "log"), rows)
    for kind, meaning in CLASSES.items():
        of_kind = [row for row in rows if row[1] == kind]
        if of_kind:
            say(f"{kind}: {sum(row[2] == 'passed' for row in of_kind)} of {len(of_kind)} passed   ({meaning})")
            for (its_kind, why), count in causes.most_common():
                if its_kind == kind:
                    say(f"    {count:4d} fail: {why}")
    passed = {row[0] for row in rows if row[2] == "passed"}
    return sorted(set(tests) & expected - passed), sorted(passed - expected)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("run.sh: ended before it was done"))  # by way of what takes the cluster down
    arguments = options()
    expected = {row["test"] for row in read_table(EXPECTED)}
    tests = choose(arguments, expected)
    if not tests:
        sys.exit("run.sh: no test is chosen")
    os.makedirs(BUILD, exist_ok=True)
    runner, suite = build_suite("quick" if arguments.quick else "all")
    images = []
    if any(row["class"] in ("B", "N") for row in tests.values()):
        images = subprocess.run([os.path.join(ROOT, "test/images/build.sh"), *IMAGES], stdout=subprocess.PIPE, text=True).stdout.split()
    directory = run_directory()
    nodes = Nodes(1 if arguments.quick else arguments.nodes, images)
    try:
        nodes.start()
        begun = time.monotonic()
        found = run(tests, arguments, nodes, directory, runner, suite, 1)
        again = {name: row for name, row in tests.items() if name in expected and found.get(name, {}).get("state") != "passed"}
        if again:
            say(f"{len(again)} that passed before did not; once more")
            found.update(run(again, arguments, nodes, directory, runner, suite, 2))
        cpu, resident = nodes.usage()
        say(f"{len(tests)} tests in {time.monotonic() - begun:.0f} s; the server used {cpu:.1f} s of CPU and holds {resident / 1024:.0f} MiB")
    finally:
        for path in nodes.logs():
            if os.path.exists(path):
                shutil.copy(path, directory)
        problems = nodes.close()
    lost, new = report(tests, found, expected, directory)
    for name in new:
        say(f"newly passes: {name}")
    for name in lost:
        say(f"FAIL passed before: {name}")
    for problem in problems:
        say(f"left behind: {problem}")
    if arguments.update and new:
        now = {row["test"] for row in read_table(EXPECTED)}  # another run may have added to it
        write_table(EXPECTED, ["test"], [[name] for name in sorted(now | set(new))])
    passed = sum(entry.get("state") == "passed" for entry in found.values())
    say(f"table: {directory}/results.tsv, logs beside it")
    say(f"{passed} passed, {len(tests) - passed} failed, {len(lost)} of them passed before")
    return 1 if lost or problems else 0


if __name__ == "__main__":
    sys.exit(main())
