"""client-go over HTTP/2: many watches, lists and writes on few connections, and a restart of the server under them; what needs HTTP/1.1
works beside it."""
import signal
import subprocess

from harness import busybox_pod

BUILD = ["watches"]


def run(client):
    cluster = client.cluster
    cluster.apply(busybox_pod("beside", "echo begun; trap 'exit 0' TERM; while :; do sleep 0.1; done"))
    cluster.wait_pod("beside")
    program = subprocess.Popen([client.built("watches")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=client.log, text=True,
                               env=client.environment)
    try:
        said = []
        for line in program.stdout:
            said.append(line.strip())
            client.log.write(line)
            if line == "restart\n":
                assert cluster.kubectl("exec", "beside", "--", "echo", "over a WebSocket") == "over a WebSocket\n"
                assert cluster.kubectl("logs", "beside") == "begun\n"
                cluster.stop(signal.SIGKILL)
                cluster.start()
                program.stdin.write("\n")
                program.stdin.flush()
        code = program.wait(timeout=60)
        assert code == 0 and said[-1] == "done", f"after {said}: exit {code}, see the log"
    finally:
        program.kill()
        program.wait()
        program.stdin.close()
        program.stdout.close()
