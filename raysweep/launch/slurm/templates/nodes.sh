{% include "header.sh" %}
#SBATCH --nodes={{ request.nodes }}
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --cpus-per-task={{ request.cpus }}
{% if request.gpus %}
#SBATCH --gres=gpu:{{ request.gpus }}
{% endif %}
{% if request.time %}
#SBATCH --time={{ request.time }}
{% endif %}
#SBATCH --signal=B:USR1@{{ request.stop_before }}
# One launch on a Ray cluster over all nodes of this job, with a port and a token of its own.
{% include "start.sh" %}
{% include "requeue.sh" %}

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address=$head:$((20000 + SLURM_JOB_ID % 10000))
unset RAY_AUTH_TOKEN   # it would count before the file
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH="$here/token-$SLURM_JOB_ID" RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=300
(umask 077; {{ python | shell }} -c 'import secrets; print(secrets.token_hex(32), end="")' > "$RAY_AUTH_TOKEN_PATH")
export RAYSWEEP_LAUNCH="$here/$SLURM_JOB_ID"   # its .pid and .code are those of the launch, on the first node: this one
rm -f "$RAYSWEEP_LAUNCH".{pid,code}
export PATH={{ bin | shell }}:$PATH   # where symmetric-run finds Ray
on_head='"$@" >> "$RAYSWEEP_LAUNCH.log" 2>&1 & echo $! > "$RAYSWEEP_LAUNCH.pid"; wait $!; echo $? > "$RAYSWEEP_LAUNCH.code"'

# `--wait`: once the launch has ended, Ray on the other nodes would wait a minute for the first one
srun --nodes={{ request.nodes }} --ntasks={{ request.nodes }} --cpus-per-task={{ request.cpus }} --wait=5 --output="${here//%/%%}/%j-ray-%t.log" \
    ray symmetric-run --address "$address" --min-nodes {{ request.nodes }} --num-cpus {{ request.cpus }} \
{% if request.gpus %}
    --num-gpus {{ request.gpus }} \
{% endif %}
    --disable-usage-stats -- bash -c "$on_head" - \
    {{ command | command }} --address="$address" &
{% include "end.sh" %}
