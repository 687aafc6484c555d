#!/bin/bash
# Make one run of its $1 shards. It refuses shards that are missing or not finished.
#SBATCH --job-name=charter-merge
#SBATCH --time=2:00:00
set -euo pipefail
: "${OUT:?name the folder of the whole run}"
charter merge "$OUT" "$OUT"-shard-*-of-"$1"
