#!/usr/bin/env python3
"""name<TAB>value lines as a Markdown table: table.py OURS [PEERS NAME-OF-PEER]. Repeated names: the median. With a peer, the ratio
says how many times better ours is: more of what ends with _per_s, less of everything else."""
import statistics
import sys


def read(path):
    figures = {}
    for line in open(path):
        name, value = line.split("\t")
        figures.setdefault(name, []).append(float(value))
    return {name: statistics.median(values) for name, values in figures.items()}


ours = read(sys.argv[1])
if len(sys.argv) == 2:
    print("| figure | knarr |\n|---|---|")
    for name, value in ours.items():
        print(f"| {name} | {value:.10g} |")
    sys.exit()
peers = read(sys.argv[2])
print(f"| figure | knarr | {sys.argv[3]} | ratio |\n|---|---|---|---|")
for name, value in ours.items():
    peer = peers.get(name)
    if not value or not peer:
        print(f"| {name} | {value:.2f} | {'-' if peer is None else format(peer, '.2f')} | |")
        continue
    better = value / peer if name.endswith("_per_s") else peer / value
    print(f"| {name} | {value:.2f} | {peer:.2f} | {better:.1f}x |")
