"""k9s in a terminal of tmux: what people see and do in it."""
import os
import re
import shutil
import subprocess

from clients import Skipped
from harness import PATIENCE, busybox_pod, wait_until

BUILD = ["k9s"]


def run(client):
    if not shutil.which("tmux"):
        raise Skipped("tmux is missing")
    cluster = client.cluster
    cluster.apply(busybox_pod("shown", "echo the log of shown; trap exit TERM; while :; do sleep 0.1; done"))
    cluster.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {colour: blue}\n")
    cluster.wait_pod("shown")
    socket = cluster.data + "/tmux"

    def tmux(*arguments):
        return subprocess.run(["tmux", "-S", socket, "-f", "/dev/null", *arguments], capture_output=True, text=True, check=True,
                              env={**client.environment, "TERM": "xterm-256color", "LANG": "C.UTF-8"}).stdout

    def screen():
        return tmux("capture-pane", "-p", "-t", "k9s")

    def sees(pattern, seconds=20):
        try:
            wait_until(f"k9s shows {pattern}", lambda: re.search(pattern, screen(), re.M), seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{screen()}") from None

    def keys(*names):
        tmux("send-keys", "-t", "k9s", *names)

    def command(text):
        keys(":")
        keys("-l", text)
        keys("Enter")

    tmux("new-session", "-d", "-s", "k9s", "-x", "160", "-y", "40", client.built("k9s"), "--headless", "--readonly=false", "-c", "pods")
    try:
        sees(r"shown .*1/1 .*Running", 40 * PATIENCE)
        keys("d")
        sees(r"Name: +shown")
        sees(r"Node: +node-a/")
        keys("Escape")
        sees(r"shown .*Running")
        keys("l")
        sees(r"the log of shown")
        keys("Escape")  # and wait: with what follows at once it would be an Alt key
        sees(r"shown .*Running")
        command("configmaps")
        sees(r"settings +1 ")
        command("nodes")
        sees(r"node-a +Ready")
        command("events")
        sees(r"Started")
        command("namespaces")
        sees(r"kube-system +Active")
        command("pods")
        sees(r"shown .*Running")
        keys("C-d")  # delete, and confirm in the dialog
        sees(r"(?i)delete")
        keys("Tab")
        keys("Enter")
        wait_until("the pod was deleted from k9s", lambda: cluster.run("get", "pod", "shown", check=False).returncode == 1, 20)
        if client.serves("deployments.apps"):
            cluster.kubectl("create", "deployment", "web", "--image=knarr.local/busybox:1")
            command("deployments")
            sees(r"web +0/\d")
    finally:
        client.log.write(screen())
        logs = os.path.join(client.environment["XDG_STATE_HOME"], "k9s/k9s.log")
        if os.path.exists(logs):
            with open(logs, errors="replace") as f:
                client.log.write("-- k9s' log --\n" + f.read()[-8000:])
        tmux("kill-server")
