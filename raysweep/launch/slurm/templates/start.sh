set -u
work={{ work | shell }}
here={{ folder | shell }}
cd "$work" && [ -r "$here" ] || {
    echo "raysweep: $(hostname) does not see $work and $here: start the launch, and keep its --store, in folders that all nodes share" >&2
    exit 2
}
{% if needs_tracking_variable %}
: "${MLFLOW_TRACKING_URI:?raysweep: it did not reach this job: submit with the environment (sbatch --export=ALL)}"
{% endif %}
{% if not gpus %}
[ -n "${SLURM_JOB_GPUS-}" ] || export CUDA_VISIBLE_DEVICES=   # those of a shared node belong to others
{% endif %}
export PYTHONUNBUFFERED=1
