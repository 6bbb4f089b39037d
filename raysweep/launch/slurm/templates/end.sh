launch=$!
while kill -0 "$launch" 2> /dev/null; do wait "$launch"; done   # signals interrupt `wait`
wait "$launch"
code=$?
[ -z "$limit" ] || [ "$code" -eq 0 ] || requeue
exit "$code"
