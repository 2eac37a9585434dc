"""client-node, the official JavaScript client."""
import shutil

BUILD = ["node"]


def run(client):
    directory = client.built("node")
    shutil.copy(client.path("node/work.js"), directory)
    said = client.call("node", "work.js", cwd=directory, timeout=90).stdout
    assert said.endswith("done\n"), said
