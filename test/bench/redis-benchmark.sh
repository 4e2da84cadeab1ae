#!/usr/bin/env bash
# redis-benchmark against redis-server and against three shoal nodes, side by side on this machine.
#
# Each round measures redis-server and then shoal (the next round the other way about), in each shape:
#
#   plain           -t set,get -n N -r 100000 -c 50
#   pipelined       the same with -P 16
#   cluster         --cluster, and so spread over the three nodes by the client; redis-server is a cluster of three, too,
#                   each with a third of the keys and without replicas (redis-benchmark takes no smaller cluster)
#   cluster-pipelined
#
# and prints operations per second as redis-benchmark says, microseconds of CPU that the server's processes took per
# operation (user and system time from /proc, over all processes, whatever they did in the background included), and
# the ratio of the two servers in the same round. Anything that redis-benchmark prints and that is no result fails the
# script, and so do siblings. The ratio of CPU is the figure to look at: operations per second depend on who else uses
# the machine.
#
# redis-server runs with appendonly yes and appendfsync everysec, shoal with its defaults: everysec, 3 copies, W=2, R=2.
# One shoal operation is therefore work of at least two processes, one operation of redis-server of one.
#
# Usage: test/bench/redis-benchmark.sh        (needs Linux, go, redis-server, redis-tools; as root it installs them)
# Settings, all from the environment:
#   PORT=7651  first of seven client ports (three of shoal, four of redis-server); peers listen 10000 higher
#   N=200000   requests of each kind and shape      ROUNDS=2   rounds
#   SHAPES="plain pipelined cluster cluster-pipelined"
#   SHOAL=     a built shoal; default: build ./cmd/shoal

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

PORT=${PORT:-7651}
N=${N:-200000}
ROUNDS=${ROUNDS:-2}
SHAPES=${SHAPES:-plain pipelined cluster cluster-pipelined}
SHOAL=${SHOAL:-}

nodes=("$PORT" $((PORT + 1)) $((PORT + 2)))
redis=$((PORT + 3))
redis_cluster=($((PORT + 4)) $((PORT + 5)) $((PORT + 6)))
pids=()
dir=$(mktemp -d "${TMPDIR:-/tmp}/shoal-bench.XXXXXX")

die() {
	echo "FAILED: $*" >&2
	exit 1
}

cleanup() {
	local status=$? pid
	trap - EXIT
	for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
	wait 2>/dev/null || true
	if ((status == 0)); then rm -rf "$dir"; else echo "logs and data are left in $dir" >&2; fi
	exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# need installs a Debian package if its program is missing.
need() {
	local program=$1 package=$2
	command -v "$program" >/dev/null && return
	command -v apt-get >/dev/null || die "$program is missing, and there is no apt-get to install it"
	((EUID == 0)) || die "$program is missing: apt-get install $package"
	export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 # keeps the package from starting a server
	apt-get install -y --no-install-recommends "$package" >/dev/null ||
		{ apt-get update && apt-get install -y --no-install-recommends "$package"; } >/dev/null || die "cannot install $package"
}

ask() { timeout 5 redis-cli -p "$@" </dev/null 2>/dev/null | tr -d '\r'; }

# until_says waits until a command of redis-cli prints a text.
until_says() {
	local text=$1 end=$((SECONDS + 60))
	shift
	until grep -q -- "$text" <<<"$(ask "$@")"; do
		((SECONDS < end)) || die "port $1 is not ready"
		sleep 0.1
	done
}

start_redis() {
	local port=$1
	shift
	mkdir -p "$dir/redis$port"
	redis-server --port "$port" --bind 127.0.0.1 --dir "$dir/redis$port" --save '' --appendonly yes --appendfsync everysec "$@" \
		</dev/null >"$dir/redis$port.log" 2>&1 &
	pids+=($!)
	until_says PONG "$port" PING
}

start_redis_cluster() {
	local i port
	for i in 0 1 2; do
		port=${redis_cluster[i]}
		start_redis "$port" --cluster-enabled yes
		ask "$port" CLUSTER ADDSLOTSRANGE $((i * 5462)) $((i == 2 ? 16383 : i * 5462 + 5461)) >/dev/null
		ask "$port" CLUSTER SET-CONFIG-EPOCH $((i + 1)) >/dev/null
		ask "${redis_cluster[0]}" CLUSTER MEET 127.0.0.1 "$port" >/dev/null
	done
	for port in "${redis_cluster[@]}"; do until_says cluster_state:ok "$port" CLUSTER INFO; done
}

start_shoal() {
	local i join=()
	for i in 0 1 2; do
		((i == 0)) || join=(--join "127.0.0.1:$((nodes[0] + 10000))")
		"$SHOAL" serve --name "n$i" --listen "127.0.0.1:${nodes[i]}" --dir "$dir/n$i" "${join[@]}" </dev/null >"$dir/n$i.log" 2>&1 &
		pids+=($!)
		until_says PONG "${nodes[i]}" PING
	done
	for i in 0 1 2; do until_says ring_live:3 "${nodes[i]}" INFO ring; done
}

# cpu prints the CPU time of processes in microseconds.
cpu() {
	local pid ticks total=0
	for pid in "$@"; do
		# After the name, which may hold anything and ends with the last bracket, user and system time are fields 12 and 13.
		ticks=$(sed 's/.*) //' "/proc/$pid/stat" | awk '{print $12 + $13}') || die "process $pid has exited, see $dir"
		total=$((total + ticks))
	done
	echo $((total * 1000000 / $(getconf CLK_TCK)))
}

flags_of() {
	case $1 in
	plain) ;;
	pipelined) echo "-P 16" ;;
	cluster) echo "--cluster" ;;
	cluster-pipelined) echo "--cluster -P 16" ;;
	*) die "no shape is called $1" ;;
	esac
}

# measure runs one kind of request in one shape against one server and sets ops and micros.
measure() {
	local kind=$1 shape=$2 port=$3 before after out status=0
	shift 3
	before=$(cpu "$@")
	# shellcheck disable=SC2046
	out=$(timeout 600 redis-benchmark -p "$port" -t "$kind" -n "$N" -r 100000 -c 50 $(flags_of "$shape") --csv </dev/null 2>&1) || status=$?
	after=$(cpu "$@")
	((status == 0)) || die "redis-benchmark -t $kind, $shape, port $port: exit $status: $out"
	# What remains without results and the description of the cluster is an error or a warning.
	local strange
	strange=$(grep -Ev '^"test","rps"|^"(SET|GET)","[0-9.]+"|^Cluster has [0-9]+ master nodes:$|^Master [0-9]+: [0-9a-f]+ 127\.0\.0\.1:[0-9]+$|^$' <<<"$out" || true)
	[[ -z $strange ]] || die "redis-benchmark -t $kind, $shape, port $port says: $strange"
	ops=$(sed -n 's/^"[SG]ET","\([0-9.]*\)".*/\1/p' <<<"$out")
	[[ -n $ops ]] || die "redis-benchmark -t $kind, $shape, port $port gives no result: $out"
	micros=$(awk -v n="$N" -v t=$((after - before)) 'BEGIN {printf "%.2f", t / n}')
}

# compare measures both servers, in an order that changes from round to round, and prints a line.
compare() {
	local round=$1 kind=$2 shape=$3 port=$redis redis_pids=("$redis_pid") turn
	[[ $shape != cluster* ]] || port=${redis_cluster[0]} redis_pids=("${redis_cluster_pids[@]}")
	local redis_ops redis_micros shoal_ops shoal_micros
	for turn in 0 1; do
		if (((round + turn) % 2 == 1)); then
			measure "$kind" "$shape" "$port" "${redis_pids[@]}"
			redis_ops=$ops redis_micros=$micros
		else
			measure "$kind" "$shape" "${nodes[0]}" "${shoal_pids[@]}"
			shoal_ops=$ops shoal_micros=$micros
		fi
	done
	awk -v a="$redis_ops" -v b="$redis_micros" -v c="$shoal_ops" -v d="$shoal_micros" -v r="$round" -v k="$kind" -v s="$shape" \
		'BEGIN {printf "%-6s%-19s%-5s%12.0f%10.2f%12.0f%10.2f%10.2f%10.1f\n", r, s, k, a, b, c, d, c / a, (b > 0 ? d / b : 0)}'
}

no_siblings() {
	local port n
	for port in "${nodes[@]}"; do
		n=$(ask "$port" INFO siblings | sed -n 's/^siblings_keys://p')
		[[ $n == 0 ]] || die "siblings_keys of the node on port $port is ${n:-missing}, want 0"
	done
}

need go golang-go
need redis-server redis-server
need redis-benchmark redis-tools
for port in "${nodes[@]}" "$redis" "${redis_cluster[@]}"; do
	! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || die "port $port is in use; set PORT"
done
if [[ -z $SHOAL ]]; then
	go build -o "$dir/shoal" ./cmd/shoal
	SHOAL=$dir/shoal
fi
start_redis "$redis"
redis_pid=${pids[-1]}
start_redis_cluster
redis_cluster_pids=("${pids[@]: -3}")
start_shoal
shoal_pids=("${pids[@]: -3}")

echo "$(nproc) processors, load average $(cut -d ' ' -f 1-3 /proc/loadavg) before; $N requests of each kind"
printf '%-6s%-19s%-5s%22s%22s%20s\n' '' '' '' 'redis-server' 'shoal, 3 nodes' 'shoal / redis'
printf '%-6s%-19s%-5s%12s%10s%12s%10s%10s%10s\n' round shape kind ops/s us/op ops/s us/op ops/s us/op
for ((round = 1; round <= ROUNDS; round++)); do
	for shape in $SHAPES; do
		for kind in set get; do compare "$round" "$kind" "$shape"; done
	done
done
no_siblings
echo "no errors, siblings_keys 0 on every node; load average $(cut -d ' ' -f 1-3 /proc/loadavg) after"
