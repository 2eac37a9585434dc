"""What a power cut leaves of a disk: QEMU's blklogwrites records each write and flush; whatever was not flushed may be lost or torn."""
import random
import struct
import subprocess

MAGIC = 0x6A736677736872  # of the Linux dm-log-writes format
FLUSH, FUA, DISCARD = 1, 2, 4


def read_log(path):
    """The entries as (first byte, length, flags, offset of the data in the log), in the order in which they were begun."""
    entries = []
    with open(path, "rb") as log:
        size = log.seek(0, 2)
        log.seek(0)
        head = log.read(28)
        if len(head) < 28:
            return entries
        magic, version, _, sector = struct.unpack("<QQQI", head)
        if magic != MAGIC or version != 1 or sector == 0:
            raise ValueError(f"{path} is no log of writes")
        at = sector
        while at + sector <= size:  # beyond what the head counts too: that is only written with a flush
            log.seek(at)
            first, count, flags, _ = struct.unpack("<QQQQ", log.read(32))
            at += sector
            length = 0 if flags & DISCARD else count * sector
            if at + length > size:
                break
            entries.append((first * sector, count * sector, flags, at))
            at += length
    return entries


def copy_sparse(source, target):
    subprocess.run(["cp", "--sparse=always", source, target], check=True)


def disk_after_power_cut(base, log_path, result, chance=random, somewhere=False):
    """Writes `result`: `base` with all writes up to the last flush, and of the later ones each whole, torn or not at all. With
    `somewhere` the power goes at a random entry of the log, not at its end.
    Answers how many writes there were, and how many of them had not been flushed."""
    entries = read_log(log_path)
    if somewhere and entries:
        entries = entries[:chance.randrange(len(entries)) + 1]
    flushed = max((i + 1 for i, entry in enumerate(entries) if entry[2] & FLUSH), default=0)
    copy_sparse(base, result)
    writes = unflushed = 0
    with open(result, "r+b") as disk, open(log_path, "rb") as log:
        for i, (first, length, flags, at) in enumerate(entries):
            if length == 0 or flags & FLUSH and length == 0:
                continue
            writes += 1
            keep = length
            if i >= flushed and not flags & FUA:
                unflushed += 1
                keep = chance.choice((0, length, chance.randrange(length // 512 + 1) * 512))
            disk.seek(first)
            if flags & DISCARD:
                if keep == length:
                    disk.write(b"\0" * length)
                continue
            log.seek(at)
            disk.write(log.read(keep))
    return writes, unflushed
