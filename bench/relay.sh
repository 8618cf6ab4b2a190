#!/usr/bin/env bash
# Measures passing mail on to other servers, beside Postfix in the same run: messages of 10 KB from the first connection until the queue is empty,
# to one destination and to fifty, all of them one smtp-sink. Then a queue of messages for destinations that can't be reached: how soon after a start
# the server answers, how much memory it takes, how long `queue list` takes. Prints a table; the bar is 5 times Postfix.
#
#   bench/relay.sh [BINARIES]      BINARIES is the folder of rohrpost and rohrpost-bench [target/release, built first]
#                                  REPEATS=3 COUNT=20000 QUEUED=100000 (0 leaves the queue out)
#
# Needs smtp-sink (Debian: postfix); Postfix itself is measured where this is root, and passed over, saying so, where it is not.
# Every server syncs what it accepts; smtp-sink keeps nothing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
. "$here/sending.sh"
repeats=${REPEATS:-3} count=${COUNT:-20000} queued=${QUEUED:-100000} destinations=50
ulimit -n "$(ulimit -Hn)"
command -v smtp-sink >/dev/null || { say "smtp-sink is not installed (Debian: postfix)"; exit 1; }
binaries_at "$@"
work=$(mktemp -d "${TMPDIR:-/tmp}/rohrpost-relay.XXXXXX")
chmod 755 "$work"
results=$work/results.jsonl
: > "$results"
server= sink= postfix=
stop() { if [ -n "${1:-}" ]; then kill "$1" 2>/dev/null || true; wait "$1" 2>/dev/null || true; fi; }
clean() {
  stop "$server"; stop "$sink"
  if [ -n "$postfix" ]; then postfix -c "$work/pf/etc" stop >/dev/null 2>&1 || true; fi
  if [ -z "${KEEP:-}" ]; then rm -rf "$work"; else say "kept: $work"; fi
}
trap clean EXIT

# --- The other side: one smtp-sink on all loopback addresses, so that each destination has an address of its own -------------------------
smtp-sink $([ "$(id -u)" = 0 ] && echo -u postfix) 0.0.0.0:4825 1000 >/dev/null 2>&1 &
sink=$!
await 4825

# --- Rohrpost -------------------------------------------------------------------------------------------------------------
config=$work/rohrpost.toml
"$binaries/rohrpost" -c "$work/init.toml" init --domain example.test --hostname mx.example.test --data "$work/data" >/dev/null
{
  printf 'hostname = "mx.example.test"\ndata = "%s"\n' "$work/data"
  printf '[[listener]]\nprotocol = "smtp"\nbind = "127.0.0.1:4725"\n'
  printf '[inspect]\nenabled = false\n[limits]\nconnections_per_address = 1000\n'
  printf '[outgoing]\nloopback = true\n'
  for n in $(seq "$destinations"); do
    printf '[[route]]\nname = "d%s"\ndomains = "d%s.test"\nto = "smtp://127.0.0.%s:4825"\naccept = true\n' "$n" "$n" "$n"
  done
  # Nobody listens there.
  printf '[[route]]\nname = "dead"\ndomains = ".dead.test"\nto = "smtp://127.0.0.1:4826"\naccept = true\n'
} > "$config"
rohrpost() { "$binaries/rohrpost" -c "$config" "$@"; }
start() {
  "$binaries/rohrpost" -c "$config" serve >> "$work/log" 2>&1 &
  server=$!
  await 4725
}

# --- Postfix --------------------------------------------------------------------------------------------------------------
if command -v postfix >/dev/null && [ "$(id -u)" = 0 ]; then
  mkdir -p "$work/pf/etc" "$work/pf/queue" "$work/pf/data"
  chown postfix "$work/pf/data"
  cp /etc/postfix/master.cf "$work/pf/etc/master.cf" 2>/dev/null || cp /usr/share/postfix/master.cf.dist "$work/pf/etc/master.cf"
  # On our port, and nothing of it in a chroot, which this queue is not prepared for.
  sed -i -E -e 's/^smtp( +inet)/127.0.0.1:4925\1/' -e 's/^([^# ]+ +(inet|unix|fifo|pass) +[-yn] +[-yn] +)y/\1n/' "$work/pf/etc/master.cf"
  for n in $(seq "$destinations"); do echo "d$n.test smtp:[127.0.0.$n]:4825"; done > "$work/pf/etc/transport"
  cat > "$work/pf/etc/main.cf" <<C
compatibility_level = 3.6
queue_directory = $work/pf/queue
data_directory = $work/pf/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
shlib_directory = /usr/lib/postfix
meta_directory = /etc/postfix
mail_owner = postfix
setgid_group = postdrop
myhostname = pf.example.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
maillog_file = $work/postfix.log
maillog_file_prefixes = /
smtpd_recipient_restrictions = permit_mynetworks, reject
default_process_limit = 200
smtp_connection_cache_on_demand = yes
smtpd_client_connection_rate_limit = 0
smtpd_client_connection_count_limit = 0
transport_maps = texthash:$work/pf/etc/transport
alias_maps =
C
  if postfix -c "$work/pf/etc" start >"$work/pf.log" 2>&1 && await 4925; then
    postfix=yes
  else
    say "Postfix does not start: measured without it"; tail -3 "$work/pf.log" "$work/postfix.log" >&2 || true
  fi
else
  say "Postfix is not there, or this is not root: measured without it"
fi

# --- Passing on -----------------------------------------------------------------------------------------------------------
empty_rohrpost() { [ "$(rohrpost queue list --limit 1 --json | tr -d ' \n')" = "[]" ]; }
empty_postfix() { postqueue -c "$work/pf/etc" -p 2>/dev/null | grep -q 'is empty'; }
relay() { # name, port, how to see that all is gone, destinations
  local to began
  to=$(seq -f 'x@d%g.test' -s , "$4")
  began=$(now)
  timeout 900 "$binaries/rohrpost-bench" --json --name "$1" accept --smtp "127.0.0.1:$2" --to "$to" --count "$count" --kept > "$work/accept.json"
  for _ in $(seq 9000); do
    if "$3"; then break; fi
    sleep 0.05
  done
  figure "$1" "relay, $4 destinations" "messages a second" "$(awk -v count="$count" -v took="$(since "$began")" 'BEGIN { printf "%.1f", count / took }')"
}
start
for turn in $(seq "$repeats"); do
  for many in 1 "$destinations"; do
    say "turn $turn of $repeats, destinations: $many"
    relay Rohrpost 4725 empty_rohrpost "$many"
    if [ -n "$postfix" ]; then relay Postfix 4925 empty_postfix "$many"; fi
  done
done
if [ -n "$postfix" ]; then postfix -c "$work/pf/etc" stop >/dev/null 2>&1 || true; postfix=; fi

# --- A long queue ---------------------------------------------------------------------------------------------------------
if [ "$queued" -gt 0 ]; then
  say "$queued messages for destinations that can't be reached"
  to=$(seq -f 'x@d%g.dead.test' -s , 1000)
  timeout 900 "$binaries/rohrpost-bench" --json --name Rohrpost accept --smtp 127.0.0.1:4725 --to "$to" --count "$queued" --kept > /dev/null
  stop "$server"
  began=$(now)
  start
  figure Rohrpost "start, $queued queued" "seconds" "$(since "$began")"
  for _ in 1 2 3; do
    began=$(now)
    rohrpost queue list >/dev/null
    figure Rohrpost "queue list, $queued queued" "seconds" "$(since "$began")"
    began=$(now)
    rohrpost queue destinations >/dev/null
    figure Rohrpost "queue destinations, $queued queued" "seconds" "$(since "$began")"
  done
  sleep 10
  figure Rohrpost "memory, $queued queued" "MB" "$(awk '/VmHWM/ { printf "%.1f", $2 / 1024 }' "/proc/$server/status")"
fi
"$binaries/rohrpost-bench" table "$results"
if [ -n "${RESULTS:-}" ]; then cat "$results" >> "$RESULTS"; fi
