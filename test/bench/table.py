#!/usr/bin/env python3
"""Two files of name<TAB>value lines as a Markdown table with ratios: table.py OURS PEERS NAME-OF-PEER. Repeated names: the median."""
import statistics
import sys


def read(path):
    figures = {}
    for line in open(path):
        name, value = line.split("\t")
        figures.setdefault(name, []).append(float(value))
    return {name: statistics.median(values) for name, values in figures.items()}


ours, peers = read(sys.argv[1]), read(sys.argv[2])
print(f"| figure | knarr | {sys.argv[3]} | ratio |\n|---|---|---|---|")
for name, value in ours.items():
    peer = peers.get(name)
    if not value or not peer:
        print(f"| {name} | {value:.2f} | {'-' if peer is None else format(peer, '.2f')} | |")
        continue
    better = value / peer if name.endswith("_per_s") else peer / value
    print(f"| {name} | {value:.2f} | {peer:.2f} | {better:.1f}x |")
