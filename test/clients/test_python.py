"""The official Python client: a script of its own in its own interpreter."""
BUILD = ["python"]


def run(client):
    said = client.call(client.built("python"), client.path("python/work.py"), timeout=90).stdout
    assert said.endswith("done\n"), said
