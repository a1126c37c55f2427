#!/usr/bin/env bash
# The example server for real: curl on every route, wrk without an error, shutdown under load without a loss.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need curl curl
need wrk wrk
cargo build --locked --release -p jenny-examples --example serve --example load
bin=$TARGET/release/examples
scratch=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill -KILL "$server" 2>/dev/null; rm -rf "$scratch"' EXIT

# start OPTION...: a server on a free port; sets `server` to its process and `addr` to its address.
start() {
    # Here, because the shell below may be slow to do it, and then the address is that of the last server.
    : >"$scratch/out"
    "$bin/serve" --addr 127.0.0.1:0 "$@" >"$scratch/out" 2>"$scratch/err" &
    server=$!
    for _ in {1..100}; do
        addr=$(sed -n 's#^listening on http://##p' "$scratch/out")
        [ -z "$addr" ] || return 0
        sleep 0.05
    done
    die "the server does not say that it listens: $(cat "$scratch/err")"
}

# stop SIGNAL: asks the server to shut down, and wants it gone with success within five seconds.
stop() {
    kill "-$1" "$server"
    timeout 5 tail --pid="$server" -f /dev/null || die "still running five seconds after SIG$1"
    wait "$server" || die "exit code $? after SIG$1: $(cat "$scratch/err")"
    server=
}

# answers EXPECTED CURL-ARGUMENT...: an answer is its status on a line, then its body.
answers() {
    local expected=$1 answer
    shift
    answer=$(curl -sS --max-time 10 -o "$scratch/body" -w '%{http_code}\n' "$@" && cat "$scratch/body")
    [ "$answer" = "$expected" ] || die "curl $*: expected '$expected', got '$answer'"
    echo "curl ${*: -1}: ${answer%%$'\n'*}"
}

say "every route"
start
head -c 3000000 /dev/urandom >"$scratch/sent"
answers $'200\nHello from jenny!' "$addr/"
answers $'200\nwell' -d well "$addr/echo"
curl -sS --max-time 10 -H 'transfer-encoding: chunked' --data-binary "@$scratch/sent" \
    -o "$scratch/received" "$addr/echo"
cmp "$scratch/sent" "$scratch/received" || die "/echo changed a chunked body"
answers 405 "$addr/echo"
answers $'200\nslept 20 ms' "$addr/blocking?ms=20"
answers $'400\nms is at most 10000' "$addr/blocking?ms=10001"
[ "$(curl -sS -o "$scratch/body" -w '%{http_code}' "$addr/blocking?ms=soon")" = 400 ] ||
    die "/blocking takes anything for a number"
answers 404 "$addr/elsewhere"
curl -sS "$addr/metrics" >"$scratch/metrics"
grep -Eq '^jenny_workers [1-9]' "$scratch/metrics" || die "/metrics names no workers"
awk '/^jenny_worker_polls_total/ { polls += $2 } END { exit !polls }' "$scratch/metrics" ||
    die "/metrics counts no polls"

say "a busy port, a wrong flag"
code=0
"$bin/serve" --addr "$addr" 2>"$scratch/busy" || code=$?
[ "$code" = 1 ] && [ "$(wc -l <"$scratch/busy")" = 1 ] || die "a busy port: exit code $code"
cat "$scratch/busy"
code=0
"$bin/serve" --workers none 2>"$scratch/busy" || code=$?
[ "$code" = 2 ] && [ "$(wc -l <"$scratch/busy")" = 1 ] || die "a wrong flag: exit code $code"
cat "$scratch/busy"

say "wrk"
wrk -t2 -c64 -d10s "http://$addr/" | tee "$scratch/wrk"
grep -Eq '^ *[1-9][0-9]* requests in' "$scratch/wrk" || die "wrk got no answer"
! grep -E 'Socket errors|Non-2xx' "$scratch/wrk" || die "wrk saw the errors above"
stop TERM
cat "$scratch/out"

say "shutdown under load"
for round in 1 2 3; do
    start
    "$bin/load" --connections 32 "$addr" >"$scratch/load" &
    load=$!
    sleep 1
    stop INT
    wait "$load" || die "the load client saw broken answers: $(cat "$scratch/load")"
    read -r _ answered _ refused _ unanswered _ broken _ connected <"$scratch/load"
    read -r _ served _ _ accepted _ < <(grep '^served' "$scratch/out")
    echo "round $round: server handled $served on $accepted; client: $(cat "$scratch/load")"
    [ "$answered" -gt 0 ] && [ "$refused" -gt 0 ] || die "the signal did not come under load"
    # The kernel resets handshakes that end in the instant of the close, see serve.rs: these, and no
    # others, were connected there and not accepted here.
    [ "$unanswered" = $((connected - accepted)) ] && [ "$broken" = 0 ] || die "requests were lost"
    [ "$served" = "$answered" ] || die "the server handled requests that nobody got an answer to"
done
