
launch=
limit=
stop() {   # the launch ends after the running epochs
    [ -z "$launch" ] || {{ tell }} 2> /dev/null
}
near_the_end() {   # {{ request.stop_before }} s before the time limit: stop, then go on in a new run
    limit=yes
    [ -n "$launch" ] || requeue
    stop
    for _ in $(seq {{ patience }}); do
        kill -0 "$launch" 2> /dev/null || return
        sleep 1
    done
    requeue   # an epoch takes longer: it resumes from the last one
}
requeue() {
    if [ "${SLURM_RESTART_COUNT:-0}" -ge {{ restarts }} ]; then
        echo "raysweep: requeued {{ restarts }} times: give more --time" >&2
        exit 1
    fi
    scontrol requeue "$SLURM_JOB_ID" || {
        echo "raysweep: Slurm does not requeue job $SLURM_JOB_ID: submit the launch again, it goes on where it stopped" >&2
        exit 1
    }
    sleep 600   # Slurm ends this run
    exit 1
}
trap near_the_end USR1
trap stop TERM   # of `scancel`; one that is preempted or cancelled at once gets it twice, and ends now
