#!/usr/bin/env bash
# Hostile clients and failing nodes, against real processes on loopback, in about three minutes.
#
#   hostile    what a stranger may send or not read, at the client port and at the peer port
#   failover   kill -9 and SIGSTOP of nodes under load
#   repair     faults of nodes and network, after which everything acknowledged is there and replicas are equal
#
# The same, longer, by hand:   ROUND=30s HOLD=20s CYCLES=5 LIMIT=30m test/chaos/smoke.sh
#
# Needs go, redis-server (whose answers to hostile bytes are the measure) and Linux; as root it installs what is
# missing. Settings, all from the environment:
#   PORT=7601     first of eight consecutive client ports; peers listen 10000 higher, a proxy before them 20000 higher
#   ROUND=2s      length of one attack
#   HOLD=2s       how long each state of the failing cluster is watched
#   CYCLES=1      how often all failures are run through
#   SPAN=60s      how long repair makes faults
#   FAULTS=kill,stop,cut,slow,wipe,backup   their kinds
#   NODES=3       of repair, 3 or 5
#   SEED=         of its choices; default: another each time
#   LIMIT=4m      for each of the parts
#   SHOAL=        a built shoal to test; default: build ./cmd/shoal
#   PARTS="hostile failover repair"

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

PORT=${PORT:-7601}
ROUND=${ROUND:-2s}
HOLD=${HOLD:-2s}
CYCLES=${CYCLES:-1}
SPAN=${SPAN:-60s}
FAULTS=${FAULTS:-kill,stop,cut,slow,wipe,backup}
NODES=${NODES:-3}
SEED=${SEED:-$RANDOM}
LIMIT=${LIMIT:-4m}
SHOAL=${SHOAL:-}
PARTS=${PARTS:-hostile failover repair}

die() {
	echo "test/chaos: FAILED: $*" >&2
	exit 1
}

# need installs a Debian package if its program is missing.
need() {
	local program=$1 package=$2
	command -v "$program" >/dev/null && return
	command -v apt-get >/dev/null || die "$program is missing, and there is no apt-get to install it"
	((EUID == 0)) || die "$program is missing: apt-get install $package"
	# RUNLEVEL=1 keeps the package from starting a server.
	export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
	apt-get install -y --no-install-recommends "$package" >/dev/null ||
		{ apt-get update && apt-get install -y --no-install-recommends "$package"; } >/dev/null || die "cannot install $package"
}

[[ $(uname) == Linux ]] || die "this needs Linux"
need go golang-go
need redis-server redis-server

dir=$(mktemp -d "${TMPDIR:-/tmp}/shoal-smoke.XXXXXX")
trap 'rm -rf "$dir"' EXIT
go build -o "$dir/chaos" ./test/chaos
if [[ -z $SHOAL ]]; then
	go build -o "$dir/shoal" ./cmd/shoal
	SHOAL=$dir/shoal
fi

for part in $PARTS; do
	case $part in
	hostile) "$dir/chaos" hostile --shoal "$SHOAL" --port "$PORT" --round "$ROUND" --limit "$LIMIT" ;;
	failover) "$dir/chaos" failover --shoal "$SHOAL" --port "$PORT" --hold "$HOLD" --cycles "$CYCLES" --limit "$LIMIT" ;;
	repair) "$dir/chaos" repair --shoal "$SHOAL" --port "$PORT" --for "$SPAN" --nodes "$NODES" --faults "$FAULTS" --seed "$SEED" --limit "$LIMIT" ;;
	*) die "no part is called $part" ;;
	esac
done
echo "test/chaos: PASSED in $SECONDS s; load average $(cut -d ' ' -f 1-3 /proc/loadavg)"
