launch=$!
while kill -0 "$launch" 2> /dev/null; do wait "$launch"; done   # signals interrupt `wait`
wait "$launch"
code=$?
{% if request.nodes > 1 %}
rm -f "$RAY_AUTH_TOKEN_PATH"
code=$(cat "$RAYSWEEP_LAUNCH.code") || { echo "raysweep: Ray did not start: see $RAYSWEEP_LAUNCH-ray-*.log" >&2; code=1; }
{% endif %}
[ -z "$limit" ] || [ "$code" -eq 0 ] || requeue
exit "$code"
