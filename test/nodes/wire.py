"""A slow and lossy cable in user space, for kernels without netem: wire.py NAMESPACE DEVICE NAMESPACE DEVICE DELAY_MS LOSS_PERCENT

Makes the two TAP devices, prints a line when they are there, and carries frames between them until it is ended."""
import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import sys
import time

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
CLONE_NEWNET = 0x40000000
QUEUE_LIMIT = 10000  # frames on the way; what comes beyond is lost


def tap(namespace, device):
    with open(f"/run/netns/{namespace}") as target:
        if ctypes.CDLL(None, use_errno=True).setns(target.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {namespace}")
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH", device.encode(), IFF_TAP | IFF_NO_PI))
    return fd


def main():
    ends = [tap(*sys.argv[1:3]), tap(*sys.argv[3:5])]
    delay, loss = float(sys.argv[5]) / 1000, float(sys.argv[6]) / 100
    other = {ends[0]: ends[1], ends[1]: ends[0]}
    print("ready", flush=True)
    on_the_way, serial = [], 0
    while True:
        wait = max(0, on_the_way[0][0] - time.monotonic()) if on_the_way else None
        for fd in select.select(ends, [], [], wait)[0]:
            while True:
                try:
                    frame = os.read(fd, 65536)
                except BlockingIOError:
                    break
                except OSError:  # the device is down: the cable is pulled
                    time.sleep(0.05)
                    break
                if random.random() >= loss and len(on_the_way) < QUEUE_LIMIT:
                    serial += 1
                    heapq.heappush(on_the_way, (time.monotonic() + delay, serial, other[fd], frame))
        now = time.monotonic()
        while on_the_way and on_the_way[0][0] <= now:
            _, _, fd, frame = heapq.heappop(on_the_way)
            try:
                os.write(fd, frame)
            except OSError:  # the device is down or full: the frame is lost
                pass


main()
