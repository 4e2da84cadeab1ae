#!/usr/bin/env bash
# Stock clients against real processes: redis-cli and redis-benchmark (Debian's redis-tools) must find nothing to
# complain about.
#
#   dev      a cluster in one process: what its output promises, values and versions through redis-cli, pipelines,
#            redis-cli --pipe and --cluster, redis-benchmark plain and --cluster, no siblings afterwards, and Ctrl-C
#            stops it and removes its temporary folder
#   serve    three processes with a password and a secret: joined, used with AUTH, ended with SIGTERM (exit 0 within
#            10 s), started again with what they held
#   flags    wrong ones are refused with one clear line
#
# Usage: test/compat/run.sh      (needs go, redis-cli, redis-benchmark; installs them as root with apt-get, else FAILS)
# Settings, from the environment:
#   PORT=7801       first of six consecutive client ports; peers listen 10000 higher
#   REQUESTS=20000  requests of each benchmark
#   SHOAL=          a built shoal to test; default: build ./cmd/shoal

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

PORT=${PORT:-7801}
REQUESTS=${REQUESTS:-20000}
SHOAL=${SHOAL:-}
dir=$(mktemp -d "${TMPDIR:-/tmp}/shoal-compat.XXXXXX")
pids=()
checks=0

say() { printf '%s  %s\n' "$(date +%T)" "$*"; }
die() {
	say "FAILED: $*" >&2
	exit 1
}

cleanup() {
	local status=$? pid log
	trap - EXIT
	for pid in "${pids[@]}"; do
		if kill -KILL "$pid" 2>/dev/null; then wait "$pid" 2>/dev/null || true; fi
	done
	if ((status == 0)); then
		rm -rf "$dir"
	else
		for log in "$dir"/*.log; do
			[[ -f $log ]] || continue
			echo "---- last lines of $log"
			tail -n 20 "$log"
		done
		say "data and logs are left in $dir"
	fi
	exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# need fails when a program is missing and cannot be installed.
need() {
	command -v "$1" >/dev/null && return
	command -v apt-get >/dev/null || die "$1 is missing, and there is no apt-get to install $2"
	((EUID == 0)) || die "$1 is missing, and installing $2 needs root"
	DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y --no-install-recommends "$2" >&2 || die "cannot install $2"
	command -v "$1" >/dev/null || die "$1 is missing although $2 is installed"
}

# cli runs redis-cli on a port, for at most ten seconds. Its exit status does not tell errors: look at what it prints.
cli() {
	local port=$1
	shift
	timeout --foreground 10 redis-cli -p "$port" "$@" </dev/null 2>&1 | tr -d '\r'
}

# is checks that a command on a port prints exactly this.
is() {
	local expected=$1 got
	shift
	got=$(cli "$@") || die "redis-cli -p $*: exit $?: $got"
	[[ $got == "$expected" ]] || die "redis-cli -p $* prints '$got', expected '$expected'"
	checks=$((checks + 1))
}

# has checks that a text has a line, or part of one.
has() {
	[[ $1 == *"$2"* ]] || die "'$2' is not in: $1"
	checks=$((checks + 1))
}

# lacks checks that a text does not hold a word.
lacks() {
	[[ $1 != *"$2"* ]] || die "'$2' is in: $1"
	checks=$((checks + 1))
}

# await waits at most so many seconds until a command succeeds.
await() {
	local end=$((SECONDS + $1)) what=$2
	shift 2
	until "$@"; do
		((SECONDS < end)) || die "not in time: $what"
		sleep 0.1
	done
}

gone() { ! kill -0 "$1" 2>/dev/null; }
answers() { [[ $(cli "$@" 2>/dev/null) == PONG ]]; }

# settled: the node sees three, and all its replicas may answer.
settled() {
	local ring
	ring=$(cli "$@" INFO ring)
	[[ $ring == *ring_live:3* ]] || return 1
	[[ $(sed -n 's/^ring_replicas://p' <<<"$ring") == $(sed -n 's/^ring_replicas_whole://p' <<<"$ring") ]]
}

# ends sends a signal to a process, which must exit 0 within ten seconds.
ends() {
	local pid=$1 signal=$2 from=$SECONDS status=0
	kill "-$signal" "$pid"
	await 10 "process $pid ends after SIG$signal" gone "$pid"
	wait "$pid" || status=$?
	((status == 0)) || die "after SIG$signal the exit status is $status"
	say "ended by SIG$signal with status 0 in $((SECONDS - from)) s"
	checks=$((checks + 1))
}

# ---- what is checked on any cluster of three ------------------------------------------------------------------------

values() {
	local a=$1 b=$2 c=$3 auth=("${@:4}") port
	is OK "$a" "${auth[@]}" SET k v
	is v "$c" "${auth[@]}" GET k
	is 1 "$b" "${auth[@]}" SIBLINGS k
	is OK "$b" "${auth[@]}" SET k w EX 100
	is 100 "$a" "${auth[@]}" TTL k
	is 1 "$c" "${auth[@]}" DEL k
	for port in "$a" "$b" "$c"; do is "" "$port" "${auth[@]}" GET k; done
	is OK "$a" "${auth[@]}" MSET a 1 b 2 c 3
	is $'1\n2\n3' "$b" "${auth[@]}" MGET a b c
	is 3 "$c" "${auth[@]}" DBSIZE
	is OK "$c" "${auth[@]}" FLUSHALL
	is 0 "$a" "${auth[@]}" DBSIZE
}

# A context is bytes: redis-cli -x passes them on as they are, and --no-raw shows them quoted.
context_of() { # node, key: quoted as redis-cli prints and reads it
	timeout --foreground 10 redis-cli -p "$1" --no-raw VGET "$2" </dev/null | sed -n '1s/^1) //p'
}

# quoted sends one line that redis-cli itself takes apart, so that quoted bytes arrive as they were.
quoted() {
	local port=$1
	shift
	timeout --foreground 10 redis-cli -p "$port" --no-raw <<<"$*" 2>&1 | tr -d '\r'
}

siblings() {
	local a=$1 b=$2 c=$3 old newest shown port
	is OK "$a" SET sib v0
	old=$(context_of "$b" sib)
	[[ $old == \"*\" ]] || die "VGET shows no context: $old"
	lacks "$(quoted "$b" VSET sib "$old" left)" ERR
	lacks "$(quoted "$c" VSET sib "$old" right)" ERR
	shown=$(cli "$a" GET sib)
	[[ $shown == left || $shown == right ]] || die "GET answers '$shown'"
	for port in "$a" "$b" "$c"; do
		is 2 "$port" SIBLINGS sib
		is "$shown" "$port" GET sib
	done
	newest=$(context_of "$a" sib)
	lacks "$(quoted "$b" VSET sib "$newest" both)" ERR
	for port in "$a" "$b" "$c"; do
		is 1 "$port" SIBLINGS sib
		is both "$port" GET sib
	done
	is 1 "$a" DEL sib
	say "siblings: two with an old context, one with the newest"
}

# piped sends raw protocol through redis-cli --pipe and reads it back elsewhere.
piped() {
	local a=$1 c=$2 out
	for i in {1..3000}; do
		printf '*3\r\n$3\r\nSET\r\n$%d\r\npipe:%d\r\n$%d\r\nvalue-%d\r\n' $((5 + ${#i})) "$i" $((6 + ${#i})) "$i"
	done >"$dir/pipe"
	out=$(timeout --foreground 60 redis-cli -p "$a" --pipe <"$dir/pipe" 2>&1) || die "redis-cli --pipe: $out"
	has "$out" "errors: 0, replies: 3000"
	is 3000 "$c" DBSIZE
	is value-1 "$c" GET pipe:1
	is value-3000 "$c" GET pipe:3000
	say "redis-cli --pipe: $(tail -n 1 <<<"$out")"
}

# managed lets redis-cli look at the cluster as at Redis's own.
managed() {
	local a=$1 b=$2 out
	out=$(timeout --foreground 20 redis-cli --cluster info "127.0.0.1:$a" </dev/null 2>&1) || die "--cluster info: $out"
	has "$out" "in 3 masters"
	out=$(timeout --foreground 20 redis-cli --cluster check "127.0.0.1:$b" </dev/null 2>&1) || die "--cluster check: $out"
	has "$out" "All nodes agree about slots configuration"
	has "$out" "All 16384 slots covered"
	lacks "$out" "[ERR]"
	lacks "$out" "[WARNING]"
	out=$(timeout --foreground 20 redis-cli -c -p "$b" <<<$'SET followed here\nGET followed' 2>&1)
	[[ $out == $'OK\nhere' ]] || die "redis-cli -c prints '$out'"
	out=$(cli "$a" -3 HELLO)
	has "$out" "proto 3"
	has "$(cli "$a" -3 CLUSTER INFO)" cluster_state:ok
	is here "$a" -3 GET followed
	is 1 "$a" DEL followed
	has "$(cli "$a" NOSUCH thing)" "ERR unknown command 'NOSUCH', with args beginning with: 'thing'"
	has "$(cli "$a" SET k v NX)" "ERR SET NX is not supported"
	say "redis-cli --cluster info and check, -c, -3"
}

# benchmark must run to its end without a word about errors and leave no siblings.
benchmark() {
	local a=$1 out port
	shift
	out=$(timeout --foreground 120 redis-benchmark -p "$a" "$@" -t set,get -n "$REQUESTS" -r 10000 -c 50 -P 16 --csv \
		</dev/null 2>"$dir/benchmark.err") || die "redis-benchmark $*: exit $?: $out $(<"$dir/benchmark.err")"
	[[ ! -s $dir/benchmark.err ]] || die "redis-benchmark $* complains: $(<"$dir/benchmark.err")"
	grep -q '^"SET",' <<<"$out" && grep -q '^"GET",' <<<"$out" || die "redis-benchmark $* prints: $out"
	lacks "${out,,}" error
	say "redis-benchmark${*:+ $*}: $(grep -E '^"(SET|GET)"' <<<"$out" | cut -d, -f1,2 | tr '\n' ' ')requests/s"
}

no_siblings() {
	local port
	for port in "$@"; do
		has "$(cli "$port" INFO siblings)" "siblings_keys:0"
	done
	say "siblings_keys is 0 on every node"
}

# ---- the steps ------------------------------------------------------------------------------------------------------

need redis-cli redis-tools
need redis-benchmark redis-tools
say "$(redis-cli --version)"
if [[ -z $SHOAL ]]; then
	SHOAL=$dir/shoal
	go build -o "$SHOAL" ./cmd/shoal
fi

check_dev() {
	local a=$PORT b=$((PORT + 1)) c=$((PORT + 2)) pid out
	mkdir "$dir/tmp"
	TMPDIR=$dir/tmp "$SHOAL" dev --port "$a" </dev/null >"$dir/dev.log" 2>&1 &
	pid=$!
	pids+=("$pid")
	await 20 "dev is ready" grep -q 'Ctrl-C' "$dir/dev.log"
	out=$(<"$dir/dev.log")
	for port in "$a" "$b" "$c"; do has "$out" "ready on 127.0.0.1:$port"; done
	has "$out" "redis-cli -p $a"
	values "$a" "$b" "$c"
	siblings "$a" "$b" "$c"
	managed "$a" "$b"
	piped "$a" "$c"
	benchmark "$a"
	benchmark "$b" --cluster
	no_siblings "$a" "$b" "$c"
	[[ -n $(ls -A "$dir/tmp") ]] || die "dev keeps no temporary folder, so this script does not see whether it is removed"
	ends "$pid" INT
	[[ -z $(ls -A "$dir/tmp") ]] || die "dev leaves $(ls "$dir/tmp")"
	lacks "$(<"$dir/dev.log")" panic
}

# dev_keeps: with --dir the data is there the next time.
check_dev_keeps() {
	local round pid
	for round in 1 2; do
		"$SHOAL" dev --port "$PORT" --nodes 2 --dir "$dir/kept" </dev/null >"$dir/kept$round.log" 2>&1 &
		pid=$!
		pids+=("$pid")
		await 20 "dev --dir is ready" grep -q 'Ctrl-C' "$dir/kept$round.log"
		if ((round == 1)); then
			is OK "$PORT" SET kept yes
		else
			is yes $((PORT + 1)) GET kept
		fi
		ends "$pid" TERM
	done
}

serve() { # name, port, more flags
	local name=$1 port=$2
	shift 2
	"$SHOAL" serve --name "$name" --listen "127.0.0.1:$port" --dir "$dir/$name" --requirepass-file "$dir/password" \
		--cluster-secret-file "$dir/secret" "$@" </dev/null >>"$dir/$name.log" 2>&1 &
	pids+=($!)
}

check_serve() {
	local a=$((PORT + 3)) b=$((PORT + 4)) c=$((PORT + 5)) auth=(--no-auth-warning -a "our password") first=${#pids[@]} round pid port
	echo "our password" >"$dir/password"
	echo "our secret" >"$dir/secret"
	for round in 1 2; do
		serve sa "$a" # the second time none is given --join: they know each other
		serve sb "$b" $( ((round == 2)) || echo --join "127.0.0.1:$((a + 10000))")
		serve sc "$c" $( ((round == 2)) || echo --join "127.0.0.1:$((a + 10000))")
		for port in "$a" "$b" "$c"; do
			await 20 "the node on $port answers" answers "$port" "${auth[@]}" PING
			await 20 "the node on $port sees three" settled "$port" "${auth[@]}"
		done
		if ((round == 1)); then
			has "$(cli "$a" GET k)" "NOAUTH Authentication required"
			has "$(cli "$a" --no-auth-warning -a guess GET k)" "NOAUTH"
			values "$a" "$b" "$c" "${auth[@]}"
			is OK "$a" "${auth[@]}" SET kept yes
			check_refusals "$a"
		else
			for port in "$a" "$b" "$c"; do is yes "$port" "${auth[@]}" GET kept; done
		fi
		for pid in "${pids[@]:first:3}"; do ends "$pid" TERM; done
		first=${#pids[@]}
	done
}

# refuses runs shoal as it must not be run: an exit status that is not 0, and a last line that says why.
refuses() {
	local words=$1 status=0 out
	shift
	out=$(timeout --foreground 20 "$SHOAL" "$@" </dev/null 2>&1) || status=$?
	((status != 0 && status != 124)) || die "shoal $*: exit status $status: $out"
	has "$out" "$words"
	lacks "$out" "goroutine "
	[[ $(tail -n 1 <<<"$out") == "shoal: "*"$words"* ]] || die "the last line of shoal $* is not the reason: $out"
}

# check_refusals: what a cluster that runs, and holds data, does not take in.
check_refusals() {
	local peer=127.0.0.1:$(($1 + 10000)) flags=(--listen "127.0.0.1:$PORT" --cluster-secret-file "$dir/secret")
	refuses "not supported yet" serve --name sd "${flags[@]}" --dir "$dir/sd" --join "$peer"
	refuses "the name \"sb\"" serve --name sb "${flags[@]}" --dir "$dir/other" --join "$peer"
	refuses "N=3" serve --name se "${flags[@]}" --dir "$dir/se" --join "$peer" --n 5
	refuses "in use" serve --name sa "${flags[@]}" --dir "$dir/sa"
}

check_flags() {
	local ok=(--name f --listen "127.0.0.1:$PORT" --dir "$dir/f")
	refuses "no command given"
	refuses "unknown command" bake
	refuses "--name is required" serve
	refuses "--listen is required" serve --name f
	refuses "--dir is required" serve --name f --listen "127.0.0.1:$PORT"
	refuses "unknown flag" serve "${ok[@]}" --bogus
	refuses "unexpected argument" serve "${ok[@]}" more
	refuses "want always, one, everysec or no" serve "${ok[@]}" --appendfsync sometimes
	refuses "cannot be more than --n=3" serve "${ok[@]}" --n 3 --w 4
	refuses "--n must be at least 1" serve "${ok[@]}" --n 0
	refuses "timeout" serve "${ok[@]}" --timeout 1ms
	refuses "announce" serve --name f --listen "0.0.0.0:$PORT" --dir "$dir/f"
	refuses "host:port" serve --name f --listen nowhere --dir "$dir/f"
	refuses "no such file" serve "${ok[@]}" --requirepass-file "$dir/none"
	refuses "--nodes" dev --nodes 0
	refuses "--port" dev --port 0
	refuses "unexpected argument" dev now
	has "$("$SHOAL" help)" "shoal serve"
	has "$("$SHOAL" serve --help 2>&1)" "--cluster-secret-file"
	say "wrong flags are refused"
}

check_flags
check_dev
check_dev_keeps
check_serve
say "compatible: $checks checks, $SECONDS s"
