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

# metric NAME: the value that the server shows.
metric() { curl -sS "$addr/metrics" | awk -v name="$1" '$1 == name { print $2 }'; }

# streams: sends a body in two halves, and wants the first one back before it sends the second.
streams() {
    local line
    exec 3<>"/dev/tcp/${addr%:*}/${addr#*:}"
    printf 'POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n' >&3
    until [ "${line:-}" = $'first\r' ]; do
        read -r -t 10 line <&3 || die "/echo waits for the end of the body"
    done
    printf '6\r\nsecond\r\n0\r\n\r\n' >&3
    until [ "$line" = $'second\r' ]; do
        read -r -t 10 line <&3 || die "/echo loses the second half"
    done
    exec 3>&-
}

say "every route"
start --workers 3
[ "$(metric jenny_workers)" = 3 ] || die "--workers 3 starts $(metric jenny_workers) workers"
head -c 3000000 /dev/urandom >"$scratch/sent"
answers $'200\nHello from jenny!' "$addr/"
answers $'200\nwell' -d well "$addr/echo"
curl -sS --max-time 10 -H 'transfer-encoding: chunked' --data-binary "@$scratch/sent" \
    -o "$scratch/received" "$addr/echo"
cmp "$scratch/sent" "$scratch/received" || die "/echo changed a chunked body"
streams
answers 405 "$addr/echo"
[ "$(metric jenny_blocking_threads)" = 0 ] || die "the blocking pool has threads, and nothing to do"
answers $'200\nslept 20 ms' "$addr/blocking?ms=20"
[ "$(metric jenny_blocking_threads)" = 1 ] || die "/blocking blocks somewhere else than on the pool"
answers $'400\nms is at most 10000' "$addr/blocking?ms=10001"
[ "$(curl -sS -o "$scratch/body" -w '%{http_code}' "$addr/blocking?ms=soon")" = 400 ] ||
    die "/blocking takes anything for a number"
answers 404 "$addr/elsewhere"
curl -sS "$addr/metrics" >"$scratch/metrics"
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
"$bin/serve" --help >"$scratch/help"
grep -q 'default: 127.0.0.1:8080' "$scratch/help" || die "--help does not say where it listens"

say "wrk"
stop TERM
start
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
