#!/bin/bash
# A Slurm array: one task, one GPU, one shard. A task that is requeued goes on where it was stopped.
#
#   export RECIPE=$PWD/recipe.yaml OUT=/shared/runs/big SERVE=owner/model
#   made=$(sbatch --parsable --array=1-16 slurm.sh)
#   sbatch --dependency=afterok:$made merge.sh 16
#
# After the merge: charter run $RECIPE --out $OUT --until sl (on a machine that trains), then the same two commands again
# for the pairs and labels, then charter run $RECIPE --out $OUT for the rest.
#SBATCH --job-name=charter
#SBATCH --gpus=1
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=charter-%A-%a.log
set -euo pipefail
here=${CHARTER_EXAMPLES:-${SLURM_SUBMIT_DIR:-$(dirname "$0")}}
exec bash "$here/shard.sh" "$SLURM_ARRAY_TASK_ID" "$SLURM_ARRAY_TASK_COUNT" "$@"
