#!/usr/bin/env bash
# Tests on several processes of one or more machines.
#
#   tools/dist_test.sh CONFIG CHECKPOINT GPUS [arguments of test.py]
#   NNODES=2 NODE_RANK=0 MASTER_ADDR=host0 PORT=29500 tools/dist_test.sh CONFIG ...
#
# GPUS is the number of processes on this machine. Without a GPU they talk over gloo.
set -euo pipefail

if [[ $# -lt 2 || ( $# -lt 3 && -z "${GPUS:-}" ) ]]; then
    sed -n '2,7p' "$0" | sed 's/^# \{0,1\}//' >&2
    exit 2
fi
CONFIG=$1
CHECKPOINT=$2
shift 2
if [[ ${1:-} =~ ^[0-9]+$ ]]; then
    GPUS=$1
    shift
fi

# in front, so that the checkout wins over an installed copy
export PYTHONPATH="$(cd "$(dirname "$0")/.." && pwd)${PYTHONPATH:+:$PYTHONPATH}"
exec "${PYTHON:-python}" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="${GPUS:?number of processes}" \
    "$(dirname "$0")/test.py" "$CONFIG" "$CHECKPOINT" --launcher pytorch "$@"
