"""A sweep from Python: an experiment file written, run, and its table read."""

import csv
from pathlib import Path

from privsc.cli.app import main

EXPERIMENT = """
title = "How much the outline costs"

[dataset]
source = "built-in"
subjects = ["Coffee"]
personalise = false

[fixed]
max_side = 160
steps = 1

[axes]
snr_db = [5, 15]
mask = ["silhouette", "box"]

[report]
claims = false
"""

Path("mask.toml").write_text(EXPERIMENT)
if main(["sweep", "mask.toml", "--out", "results/mask", "--workers", "0"]):
    raise SystemExit("the sweep did not end well")
with Path("results/mask/results.csv").open() as table:
    for row in csv.DictReader(table):
        bob, eve = float(row["bob_psnr_private"]), float(row["eve_psnr_private"])
        print(f"{row['snr_db']:>4} dB, {row['mask']:<10} Bob {bob:.1f} dB, Eve {eve:.1f} dB in the private region")
