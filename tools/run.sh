#!/bin/bash
# Profiles this machine's Python processes in the foreground: `./dev run [--demo] [--for 30s] [AGENT OPTION…]`.
# Starts the demo when asked to, or when nothing else is worth looking at; everything that it started ends with it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

BINARY=${PYSTROBE_BIN:-build/release/pystrobe}
BUSY_PERCENT=2
LOOK_SECONDS=5
FOLDER=${PYSTROBE_RUN_DIR:-$PWD/build/run}
PYTHON=/usr/bin/python3

demo='' duration='' demo_pid='' agent_pid=''
exec {demo_fd}>/dev/null
options=()
while (($#)); do
    case $1 in
    --demo) demo='asked for with --demo' ;;
    --for)
        (($# > 1)) || {
            echo 'dev run: --for needs a duration such as 30s' >&2
            exit 2
        }
        duration=$2
        shift
        ;;
    --for=*) duration=${1#--for=} ;;
    *) options+=("$1") ;;
    esac
    shift
done

say()
{
    printf 'dev run: %s\n' "$*"
}

# The Python processes that the agent sees, one pid a line.
python_pids()
{
    "$BINARY" ps --json 2>/dev/null | grep -o '"pid": *[0-9]*' | grep -o '[0-9]*$' || true
}

# User and system time of these processes, in clock ticks. A comm may hold blanks and brackets: the last one counts.
cpu_ticks()
{
    local pid stat total=0
    for pid in "$@"; do
        stat=$(cat "/proc/$pid/stat" 2>/dev/null) || continue
        stat=${stat##*) }
        # shellcheck disable=SC2086 # the fields are numbers and one letter
        set -- $stat
        total=$((total + ${12} + ${13}))
    done
    echo "$total"
}

why_demo()
{
    local pids before after percent
    mapfile -t pids < <(python_pids)
    if ((${#pids[@]} == 0)); then
        echo 'no Python process is running here'
        return
    fi
    before=$(cpu_ticks "${pids[@]}")
    sleep "$LOOK_SECONDS"
    after=$(cpu_ticks "${pids[@]}")
    percent=$(((after - before) * 100 / ($(getconf CLK_TCK) * LOOK_SECONDS)))
    if ((percent < BUSY_PERCENT)); then
        echo "the ${#pids[@]} Python processes here used under $BUSY_PERCENT% of a core together in $LOOK_SECONDS s"
    fi
}

start_demo()
{
    # The demo reads a pipe whose only writer is this shell: when the shell ends, however it ends, so does the demo.
    exec {demo_fd}>&-
    exec {demo_fd}> >(exec "$PYTHON" tests/workloads/demo/run.py --until-eof)
    demo_pid=$!
    say "starting the demo, a small web application: $1"
}

# shellcheck disable=SC2317 # the trap calls it
stop_all()
{
    trap - EXIT
    if [[ -n $agent_pid ]]; then
        kill "$agent_pid" 2>/dev/null || true
    fi
    exec {demo_fd}>&-
    if [[ -n $demo_pid ]]; then
        wait "$demo_pid" 2>/dev/null || true
    fi
}
trap stop_all EXIT

if [[ ! -t 1 && -z $duration ]]; then
    duration=30s
fi
[[ -n $demo ]] || demo=$(why_demo)
[[ -z $demo ]] || start_demo "$demo"
mkdir -p "$FOLDER/profiles"

# A background job of its own group keeps the default signals, and each signal reaches it exactly once.
set -m
"$BINARY" agent --summary ${duration:+--for "$duration"} --exporter-file "$FOLDER/profiles" \
    --set "store.directory=$FOLDER/store" --set discovery.interval=5s --set discovery.min_age=1s \
    ${options[@]+"${options[@]}"} </dev/null {demo_fd}>&- &
agent_pid=$!
set +m
trap 'kill -INT "$agent_pid" 2>/dev/null || true' INT
trap 'kill -TERM "$agent_pid" 2>/dev/null || true' TERM HUP

status=0
while :; do
    wait "$agent_pid" && status=0 || status=$?
    kill -0 "$agent_pid" 2>/dev/null || break
done
agent_pid=''
if ((status == 0)); then
    say "profiles lie in $FOLDER/profiles (go tool pprof FILE.pb.gz)"
fi
exit "$status"
