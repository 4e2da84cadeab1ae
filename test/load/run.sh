#!/usr/bin/env bash
# A real data set through real crashes.
#
# Debian's package index (description and dependencies of each package, at least MIN_KEYS keys) goes into a cluster of
# three `shoal serve` processes:
#
#   load 1   redis-cli --pipe on one node; every reply must be OK, DBSIZE must be the number of keys on every node, and
#            no key may have siblings
#   load 2   new values through all nodes; the founding node is killed with SIGKILL in the middle and restarted
#   load 3   new values again; all three are killed at once with SIGKILL in the middle and restarted
#   verify   every key is read from each node by a client of that node only: it must have the last acknowledged value,
#            or a later one whose SET had an unknown outcome. One wrong or missing key fails the script.
#   stop     SIGTERM: every node must exit 0 within 10 s
#
# Usage: test/load/run.sh        (needs go, redis-cli and apt-cache; as root it installs what is missing)
# Settings, all from the environment:
#   PORT=7001       first of three consecutive client ports; peers listen 10000 higher
#   MIN_KEYS=100000 fewest keys that count as a data set
#   RATE=10000      most SETs per second in loads 2 and 3
#   LOAD_LIMIT=120  seconds after which load 2, load 3 or the verification gives up
#   READY_LIMIT=60  seconds that the nodes may take to be ready
#   DIR=            folder for data and logs; default: a temporary one, removed after success
#   SHOAL=          a built shoal to test; default: build ./cmd/shoal

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

PORT=${PORT:-7001}
MIN_KEYS=${MIN_KEYS:-100000}
RATE=${RATE:-10000}
LOAD_LIMIT=${LOAD_LIMIT:-120}
READY_LIMIT=${READY_LIMIT:-60}
SHOAL=${SHOAL:-}

names=(a b c)
ports=("$PORT" $((PORT + 1)) $((PORT + 2)))
pids=("" "" "")
addrs=127.0.0.1:${ports[0]},127.0.0.1:${ports[1]},127.0.0.1:${ports[2]}
faults=0
helper=

if [[ -n ${DIR:-} ]]; then
	dir=$DIR
	keep=yes
	mkdir -p "$dir"
	dir=$(cd "$dir" && pwd)
else
	dir=$(mktemp -d "${TMPDIR:-/tmp}/shoal-load.XXXXXX")
	keep=
fi

say() { printf '%s  %s\n' "$(date +%T)" "$*"; }
die() {
	say "FAILED: $*" >&2
	exit 1
}
fault() {
	say "FAULT: $*"
	faults=$((faults + 1))
}

# Every wait has an end. `timeout --foreground` leaves its program in the group of this script, so that a signal to the
# group ends both.

# ---- processes ----------------------------------------------------------------------------------------------------

# cleanup ends every process this script started, whatever happened, and shows the logs after a failure.
cleanup() {
	local status=$? i
	trap - EXIT
	for i in 0 1 2; do slay "$i"; done
	if [[ -n $helper ]]; then kill -TERM "$helper" 2>/dev/null || true; fi
	if ((status != 0)); then
		for i in 0 1 2; do
			[[ -f $dir/${names[i]}.log ]] || continue
			echo "---- last lines of node ${names[i]}"
			tail -n 25 "$dir/${names[i]}.log"
		done
		say "data and logs are left in $dir"
	elif [[ -z $keep ]]; then
		rm -rf "$dir"
	fi
	exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# start starts node i. The flags are the same the first time and after a crash.
start() {
	local i=$1 join=()
	((i == 0)) || join=(--join "127.0.0.1:$((ports[0] + 10000))")
	"$SHOAL" serve --name "${names[i]}" --listen "127.0.0.1:${ports[i]}" --dir "$dir/${names[i]}" \
		"${join[@]}" </dev/null >>"$dir/${names[i]}.log" 2>&1 &
	pids[i]=$!
}

# slay kills node i with SIGKILL and waits until it is gone.
slay() {
	local pid=${pids[$1]}
	[[ -n $pid ]] || return 0
	pids[$1]=
	kill -KILL "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
}

alive() { kill -0 "${pids[$1]}" 2>/dev/null; }

# ask sends one command to node i; nothing comes out when the node does not answer within 5 s.
ask() {
	local i=$1
	shift
	timeout --foreground 5 redis-cli -h 127.0.0.1 -p "${ports[i]}" "$@" 2>/dev/null </dev/null | tr -d '\r' || true
}

# field prints the number that an INFO section of node i gives for a field.
field() { ask "$1" INFO "$2" | sed -n "s/^$3://p"; }

# all_ready waits until every node answers PING and sees three members of which three answer.
all_ready() {
	local end=$((SECONDS + READY_LIMIT)) i ready
	while :; do
		ready=yes
		for i in 0 1 2; do
			alive "$i" || die "node ${names[i]} has exited"
			[[ $(ask "$i" PING) == PONG && $(field "$i" ring ring_members) == 3 && $(field "$i" ring ring_live) == 3 ]] || ready=
		done
		[[ -z $ready ]] || return 0
		((SECONDS < end)) || die "the nodes are not ready after $READY_LIMIT s"
		sleep 0.2
	done
}

# ---- steps --------------------------------------------------------------------------------------------------------

# need installs a Debian package if its program is missing.
need() {
	local program=$1 package=$2
	command -v "$program" >/dev/null && return
	command -v apt-get >/dev/null || die "$program is missing, and there is no apt-get to install it"
	((EUID == 0)) || die "$program is missing: apt-get install $package"
	say "installing $package"
	DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$package" >"$dir/apt.log" 2>&1 ||
		{ apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$package"; } \
			>>"$dir/apt.log" 2>&1 || die "cannot install $package, see $dir/apt.log"
}

# data_set makes $dir/data.resp and sets keys. A missing or short index is updated once.
data_set() {
	command -v apt-cache >/dev/null || die "apt-cache is missing: the data set is Debian's package index"
	if ! keys=$(apt-cache dumpavail | "$dir/load" keys --out "$dir/data.resp" --min "$MIN_KEYS" 2>"$dir/keys.err"); then
		say "$(cat "$dir/keys.err")"
		((EUID == 0)) || die "no data set; run apt-get update as root"
		say "updating the package index"
		timeout --foreground 300 apt-get update >"$dir/apt.log" 2>&1 || die "apt-get update failed, see $dir/apt.log"
		keys=$(apt-cache dumpavail | "$dir/load" keys --out "$dir/data.resp" --min "$MIN_KEYS") || die "no data set"
	fi
	say "data set: $keys keys, $(stat -c %s "$dir/data.resp") bytes"
}

# load_1 pipes the data set into node a.
load_1() {
	local reply from=$SECONDS
	reply=$(timeout --foreground "$LOAD_LIMIT" redis-cli -h 127.0.0.1 -p "${ports[0]}" --pipe <"$dir/data.resp" 2>&1 | tr '\r' '\n' | tail -n 1) ||
		die "redis-cli --pipe: $reply"
	say "load 1 (redis-cli --pipe on node a, $((SECONDS - from)) s): $reply"
	[[ $reply == "errors: 0, replies: $keys" ]] || die "load 1: expected errors: 0, replies: $keys"
}

# count_keys compares DBSIZE of every node with the data set.
count_keys() {
	local i size
	for i in 0 1 2; do
		size=$(ask "$i" DBSIZE)
		[[ $size == "$keys" ]] || fault "node ${names[i]}: DBSIZE says ${size:-nothing}, expected $keys"
	done
}

# siblings prints siblings_keys of every node; with "none" every other number than 0 is a fault.
siblings() {
	local when=$1 expect=${2:-} i n line=
	for i in 0 1 2; do
		n=$(field "$i" siblings siblings_keys)
		line+=" ${names[i]}=${n:-?}"
		[[ $n =~ ^[0-9]+$ ]] || fault "node ${names[i]} does not report siblings_keys"
		[[ $expect != none || $n == 0 ]] || fault "node ${names[i]}: siblings_keys is ${n:-missing} $when, expected 0"
	done
	say "siblings_keys $when:$line"
}

# load_under writes round $1 through all nodes and calls at_NN of that round when NN per cent are done.
load_under() {
	local round=$1 word rest
	exec 3< <(exec timeout --foreground $((LOAD_LIMIT + 15)) "$dir/load" write --data "$dir/data.resp" --book "$dir/book$round" \
		--round "$round" --addrs "$addrs" --rate "$RATE" --for "${LOAD_LIMIT}s" 2>&1)
	helper=$!
	while read -r word rest <&3; do
		if [[ $word != progress ]]; then
			say "load $round: $word $rest"
		elif declare -F "round_${round}_at_$rest" >/dev/null; then
			"round_${round}_at_$rest"
		fi
	done
	exec 3<&-
	wait "$helper" || die "load $round failed"
	helper=
}

round_2_at_30() {
	slay 0
	say "load 2: node a, the founder, killed with SIGKILL at 30 %"
}
round_2_at_70() {
	start 0
	say "load 2: node a restarted at 70 %"
}
round_3_at_50() {
	kill -KILL "${pids[@]}"
	slay 0
	slay 1
	slay 2
	say "load 3: all nodes killed at once with SIGKILL at 50 %"
	start 0
	start 1
	start 2
	say "load 3: all nodes restarted"
}

# drain stops every node with SIGTERM.
drain() {
	local i end=$((SECONDS + 10)) status
	for i in 0 1 2; do kill -TERM "${pids[i]}"; done
	for i in 0 1 2; do
		while alive "$i" && ((SECONDS <= end)); do sleep 0.1; done
		if alive "$i"; then
			fault "node ${names[i]} still runs 10 s after SIGTERM"
			continue
		fi
		status=0
		wait "${pids[i]}" || status=$?
		pids[i]=
		((status == 0)) || fault "node ${names[i]} exited with $status after SIGTERM"
	done
	say "stopped with SIGTERM"
}

# ---- the run ------------------------------------------------------------------------------------------------------

need go golang-go
need redis-cli redis-tools
for port in "${ports[@]}"; do
	! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || die "port $port is in use; set PORT"
done
say "building"
go build -o "$dir/load" ./test/load
if [[ -z $SHOAL ]]; then
	go build -o "$dir/shoal" ./cmd/shoal
	SHOAL=$dir/shoal
fi
data_set

start 0
start 1
start 2
all_ready
say "three nodes ready"

load_1
count_keys
siblings "after load 1" none

load_under 2
all_ready
say "all nodes ready again"
siblings "after load 2"

load_under 3
all_ready
say "all nodes ready again"

say "reading every key from each node"
timeout --foreground $((LOAD_LIMIT + 15)) "$dir/load" verify --data "$dir/data.resp" --books "$dir/book2,$dir/book3" \
	--addrs "$addrs" --for "${LOAD_LIMIT}s" || fault "not every acknowledged key reads back"
count_keys
siblings "after load 3"
drain

((faults == 0)) || die "$faults faults"
say "PASSED: $keys keys, every acknowledged one reads back on each of three nodes"
