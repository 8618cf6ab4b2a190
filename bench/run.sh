#!/usr/bin/env bash
# Measures Rohrpost beside Postfix + Dovecot and smtp-sink, all in one run on one machine, and writes bench/results/<date>.md.
#
#   bench/run.sh [--quick] [--imap] [--sending]
#       REPEATS=3 COUNT=10000 by default; --quick: once, 2,000 messages; --imap: the IMAP part alone; --sending: relaying (relay.sh), submission with
#       signatures (submission.sh) and the checks on mail from outside alone
#
# The IMAP part: every operation with 10,000 messages (REPEATS turns) and with 100,000 (one turn; LARGE=0 leaves it out), many idle
# connections (CONNECTIONS, as many as the limit of open files allows), logins, readers, growth to 1,000,000 messages (GROWTH=0: not).
#
# The servers take turns, REPEATS times. Needs nothing but cargo for Rohrpost itself; peers are measured where they are installed
# (postfix, dovecot-imapd, dovecot-lmtpd; started by bench/peers.sh) and passed over, saying so, where they are not.
# Every server fsyncs what it accepts, except smtp-sink, which keeps nothing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
repeats=${REPEATS:-3} count=${COUNT:-10000} slow=${SLOW_COUNT:-} full=${FULL:-500000} backlog=${BACKLOG:-100000}
large=${LARGE:-100000} growth=${GROWTH:-1000000} connections=${CONNECTIONS:-20000} many=200 only_imap= only_sending=
for argument in "$@"; do
  case $argument in
    --quick) repeats=1 count=2000 full=0 backlog=1000 large=0 growth=20000 connections=${CONNECTIONS:-1000} many=20 ;;
    --imap) only_imap=yes ;;
    --sending) only_sending=yes ;;
    *) echo "run.sh: there is no $argument" >&2; exit 2 ;;
  esac
done
ulimit -n "$(ulimit -Hn)"
# A connection is a file, and so is what an account keeps open: four or so.
files=$(ulimit -n)
if [ "$files" != unlimited ] && [ "$connections" -gt $((files - many * 8 - 500)) ]; then connections=$((files - many * 8 - 500)); fi
slow=${slow:-$((count / 5))}   # for servers that would take minutes over the whole count
users=a@example.test,b@example.test,c@example.test,d@example.test

say() { printf '%s\n' "$*" >&2; }

say "building"
(cd "$root" && ${SLOT:-} cargo build --release --quiet -p rohrpost -p bench -p delivery --bins --example checks)
target=${CARGO_TARGET_DIR:-$root/target}
bench=$target/release/rohrpost-bench
rohrpost=$target/release/rohrpost

work=$(mktemp -d "${TMPDIR:-/tmp}/rohrpost-bench.XXXXXX")
results=$work/results.jsonl
: > "$results"
pids=()
peers=
for candidate in "${PEERS:-}" "$here/peers.sh" "$root/../shared/bench/peers.sh"; do
  if [ -z "$peers" ] && [ -f "$candidate" ]; then peers=$candidate; fi
done

clean() {
  for pid in ${pids[@]+"${pids[@]}"}; do kill "$pid" 2>/dev/null || true; done
  if [ -n "${peer_dir:-}" ]; then bash "$peers" stop "$peer_dir" >/dev/null 2>&1 || true; fi
  wait 2>/dev/null || true
  if [ -z "${KEEP:-}" ]; then rm -rf "$work"; else say "kept: $work"; fi
}
trap clean EXIT

await() { # host port: until somebody listens there, 20 s at most
  for _ in $(seq 400); do
    if (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; then return 0; fi
    sleep 0.05
  done
  say "nothing listens at $1:$2"; return 1
}

run() { # one measurement; a failure is shown and does not end the rest
  if ! timeout 900 "$bench" --json "$@" >> "$results"; then say "failed: rohrpost-bench $*"; fi
}

# --- Rohrpost -------------------------------------------------------------------------------------------------------------
data=$work/rohrpost
config=$work/rohrpost.toml
"$rohrpost" -c "$work/init.toml" init --domain example.test --hostname mx.example.test --data "$data" >/dev/null
cat > "$config" <<C
hostname = "mx.example.test"
data = "$data"

[[listener]]
protocol = "smtp"
bind = "127.0.0.1:2725"

[[listener]]
protocol = "imap"
bind = "127.0.0.1:2743"
plaintext = true

[[listener]]
protocol = "submission"
bind = "127.0.0.1:2787"
plaintext = true

[limits]
connections = 40000
C
if [ -n "${ROHRPOST_EXTRA:-}" ]; then printf '%s\n' "$ROHRPOST_EXTRA" >> "$config"; fi
for user in ${users//,/ } full@example.test empty@example.test corpus@example.test imap@example.test \
  $(seq -f 'u%g@example.test' 0 $((many - 1))); do
  echo secret | "$rohrpost" -c "$config" account add "$user" --password-stdin >/dev/null
done
run --name Rohrpost start --port 127.0.0.1:2725 -- "$rohrpost" -c "$config" serve
"$rohrpost" -c "$config" serve > "$work/rohrpost.log" 2>&1 &
pids+=($!)
rohrpost_pid=$!
await 127.0.0.1 2725
await 127.0.0.1 2743
run --name Rohrpost disk "$data"

# --- smtp-sink ------------------------------------------------------------------------------------------------------------
sink=
if command -v smtp-sink >/dev/null; then
  smtp-sink $([ "$(id -u)" = 0 ] && echo -u postfix) 127.0.0.1:2825 1000 >/dev/null 2>&1 &
  pids+=($!)
  if await 127.0.0.1 2825; then sink=127.0.0.1:2825; fi
else
  say "smtp-sink is not installed (Debian: postfix): measured without it"
fi

# --- Postfix + Dovecot ----------------------------------------------------------------------------------------------------
peer_dir=
if [ -n "$peers" ]; then
  # Ports that nobody else here uses, and no ManageSieve: Dovecot does not start where it is named and not installed.
  sed -e 's/\b2625\b/2925/g; s/\b2424\b/2924/g; s/\b2143\b/2943/g' \
    -e 's/^protocols = imap lmtp sieve/protocols = imap lmtp/' -e '/^service managesieve-login/,/^}/d' "$peers" > "$work/peers.sh"
  peers=$work/peers.sh
  # Dovecot's LMTP is a package of its own, and IMAP alone takes neither it nor Postfix running.
  if [ -n "$only_imap" ]; then
    sed -i -e 's/^protocols = imap lmtp/protocols = imap/' -e '/^service lmtp/,/^}/d' -e '/^protocol lmtp/,/^}/d' \
      -e '/^ *postfix -c .* start/d' "$peers"
  fi
fi
if [ -n "$peers" ] && command -v postfix >/dev/null && command -v dovecot >/dev/null && [ "$(id -u)" = 0 ]; then
  peer_dir=$work/peers
  chmod 755 "$work"
  if ! { bash "$peers" start "$peer_dir" >"$work/peers.log" 2>&1 && { [ -n "$only_imap" ] || await 127.0.0.1 2925; } && await 127.0.0.1 2943; }; then
    say "Postfix and Dovecot do not start (see peers.sh): measured without them"; tail -3 "$work/peers.log" >&2
    bash "$peers" stop "$peer_dir" >/dev/null 2>&1 || true
    peer_dir=
  fi
else
  say "Postfix and Dovecot are not there, or this is not root: measured without them"
fi

drained() { # Postfix accepts faster than it delivers: what is left of one measurement must not burden the next
  for _ in $(seq 600); do
    if postqueue -c "$peer_dir/pf/etc" -p 2>/dev/null | grep -q 'is empty'; then return 0; fi
    sleep 0.2
  done
  say "Postfix's queue does not get empty"
}

# --- IMAP -----------------------------------------------------------------------------------------------------------------
imap_part() {
  local dovecot ours=(--imap 127.0.0.1:2743) theirs=(--imap 127.0.0.1:2943) turn
  dovecot="Postfix + Dovecot"
  for turn in $(seq "$repeats"); do
    say "IMAP operations, turn $turn of $repeats"
    run --name Rohrpost imap "${ours[@]}" --user imap@example.test --messages "$((count / 1000 * 1000))"
    if [ -n "$peer_dir" ]; then run --name "$dovecot" imap "${theirs[@]}" --user imap --messages "$((count / 1000 * 1000))"; fi
  done
  if [ "$large" -gt 0 ]; then
    say "IMAP operations, $large messages"
    run --name Rohrpost imap "${ours[@]}" --user imap@example.test --messages "$large"
    if [ -n "$peer_dir" ]; then run --name "$dovecot" imap "${theirs[@]}" --user imap --messages "$large"; fi
  fi
  say "logins, readers, $connections idle connections"
  run --name Rohrpost logins "${ours[@]}" --user u%n@example.test
  run --name Rohrpost readers "${ours[@]}" --user u%n@example.test --messages 300 --users 10
  run --name Rohrpost idlers "${ours[@]}" --user u%n@example.test --users "$many" --connections "$connections" --matching "$config serve"
  if [ -n "$peer_dir" ]; then
    run --name "$dovecot" logins "${theirs[@]}" --user u%n --count 400
    run --name "$dovecot" readers "${theirs[@]}" --user u%n --messages 300 --users 10
    # A process for each connection: more than some hundred say nothing new.
    run --name "$dovecot" idlers "${theirs[@]}" --user u%n --users "$((many / 4))" --connections "$((many * 2))" --news 50 \
      --matching "$peer_dir" --matching dovecot/
  fi
  if [ "$growth" -gt 0 ]; then
    say "growth to $growth messages"
    run --name Rohrpost growth "${ours[@]}" --user imap@example.test --small 10000 --large "$growth"
  fi
}

figure() { # server, work, name, value
  printf '{"server":"%s","work":"%s","figures":{"%s":%s}}\n' "$1" "$2" "$3" "$4" >> "$results"
}

rest_part() {
# --- The load, the servers in turn ----------------------------------------------------------------------------------------
for turn in $(seq "$repeats"); do
  say "turn $turn of $repeats"
  for kept in "" --kept; do
    run --name Rohrpost accept --smtp 127.0.0.1:2725 --to $users --count "$count" $kept
    if [ -n "$peer_dir" ]; then
      run --name "Postfix + Dovecot" accept --smtp 127.0.0.1:2925 --to $users --count "$slow" $kept
      drained
    fi
    if [ -n "$sink" ]; then run --name smtp-sink accept --smtp "$sink" --to $users --count "$count" $kept; fi
    run --name Rohrpost deliver --smtp 127.0.0.1:2725 --imap 127.0.0.1:2743 --to $users --count "$count" $kept
    if [ -n "$peer_dir" ]; then
      drained
      run --name "Postfix + Dovecot" deliver --smtp 127.0.0.1:2925 --imap 127.0.0.1:2943 --to $users --count "$slow" $kept
    fi
  done
  one=$((count / 10))
  run --name Rohrpost accept --smtp 127.0.0.1:2725 --to $users --count "$one" --sessions 1 --kept
  if [ -n "$peer_dir" ]; then
    run --name "Postfix + Dovecot" accept --smtp 127.0.0.1:2925 --to $users --count "$((one / 2))" --sessions 1 --kept
  fi
  if [ -n "$sink" ]; then run --name smtp-sink accept --smtp "$sink" --to $users --count "$one" --sessions 1 --kept; fi
done
run --name Rohrpost idle --matching "$config serve"
if [ -n "$peer_dir" ]; then run --name "Postfix + Dovecot" idle --matching "$peer_dir" --matching dovecot/ --matching postfix/sbin; fi

# --- Real mail on disk ----------------------------------------------------------------------------------------------------
corpus=$root/../shared/corpus/mail.tar.zst
kib() { sync; du -sk "$@" | awk '{ n += $1 } END { print n }'; }
if [ -f "$corpus" ]; then
  say "real mail on disk"
  before=$(kib "$data")
  read -r count_in octets < <(python3 "$here/corpus.py" 127.0.0.1:2743 corpus@example.test secret "$corpus")
  work_name="$count_in messages of real mail, $((octets / 1024)) KiB"
  figure Rohrpost "$work_name" "KiB on disk" $(($(kib "$data") - before))
  python3 "$here/corpus.py" --maildir "$work/maildir" "$corpus" >/dev/null
  figure Maildir "$work_name" "KiB on disk" "$(kib "$work/maildir")"
  if [ -n "$peer_dir" ]; then
    python3 "$here/corpus.py" 127.0.0.1:2943 corpus secret "$corpus" >/dev/null
    figure "Postfix + Dovecot" "$work_name" "KiB on disk" "$(kib "$peer_dir/mail/corpus")"
  fi
else
  say "no corpus at ../shared/corpus: disk use not measured"
fi

# --- A mailbox that is full -----------------------------------------------------------------------------------------------
if [ "$full" -gt 0 ]; then
  say "filling a mailbox with $full messages"
  "$bench" --name fill deliver --smtp 127.0.0.1:2725 --imap 127.0.0.1:2743 --to full@example.test --count "$full" --size 1024 --kept --patience 900 >&2
  for turn in $(seq 3); do
    for who in full empty; do
      "$bench" --json --name Rohrpost deliver --smtp 127.0.0.1:2725 --imap 127.0.0.1:2743 --to "$who@example.test" --count 5000 --kept \
        | sed "s/\"work\":\"[^\"]*\"/\"work\":\"deliver 5,000 of 10 KB into a mailbox of $([ $who = full ] && echo "$full" || echo 0)\"/" >> "$results"
    done
  done
fi

imap_part

# --- Killed with a long queue ---------------------------------------------------------------------------------------------
if [ "$backlog" -gt 0 ]; then
  say "killing it with $backlog open rows"
  python3 "$here/backlog.py" 127.0.0.1:2787 a@example.test secret "$backlog" >/dev/null
  kill -9 "$rohrpost_pid"; wait "$rohrpost_pid" 2>/dev/null || true
  run --name Rohrpost start --times 1 --port 127.0.0.1:2725 -- "$rohrpost" -c "$config" serve
  sed -i "\$ s/\"work\":\"[^\"]*\"/\"work\":\"start until 220 after SIGKILL, $backlog open rows\"/" "$results"
else
  kill "$rohrpost_pid"; wait "$rohrpost_pid" 2>/dev/null || true
fi

}
# --- What goes out, and what is looked at on the way in ------------------------------------------------------------------------
sending_part() {
  for script in relay submission; do
    env REPEATS="$repeats" COUNT="$count" RESULTS="$results" "$here/$script.sh" "$target/release" >&2
  done
  "$target/release/examples/checks" "$count" --json >> "$results"
}

if [ -n "$only_imap" ]; then imap_part; elif [ -n "$only_sending" ]; then sending_part; else rest_part; fi

# --- The page -------------------------------------------------------------------------------------------------------------
page=$here/results/$(date +%Y-%m-%d)${only_imap:+-imap}${only_sending:+-sending}.md
mkdir -p "$here/results"
{
  echo "# Measured on $(date '+%Y-%m-%d %H:%M')"
  echo
  echo "$(git -C "$root" describe --always --dirty 2>/dev/null || echo unknown), $(nproc) cores ($(lscpu | sed -n 's/^Model name: *//p')), $(free -g | awk '/^Mem/ {print $2}') GiB, Linux $(uname -r), $(stat -f -c %T "$work") on $(df --output=source "$work" | tail -1). The load comes from the same machine."
  echo
  echo "Medians of $repeats turns; $count messages a turn ($slow for Postfix + Dovecot), to 4 mailboxes. Every server syncs what it accepts, except smtp-sink, which keeps nothing. Machines are noisy: only the ratios of one run mean something."
  echo
  "$bench" table "$results"
} > "$page"
cat "$page"
say "written: $page"
