#!/usr/bin/env bash
# Measures submission with DKIM signing beside Postfix with OpenDKIM as its milter, in the same run: somebody logs in (AUTH PLAIN over loopback,
# without TLS, for both) on several connections that are kept and sends messages of 10 KB, which are signed with the same RSA key of 2,048 bits and
# passed on to one smtp-sink. Counted is what was submitted (got its final 250) in a second, and what was done in a second from the first connection
# until the queue was empty. Ours also with a second signature, Ed25519, which is how `rohrpost dkim rotate` sets a domain up.
# Before it, a few messages go through each to a sink that keeps them, and are looked at: each must be signed, and every signature good
# (dkimpy, where tests/install-tools.sh has put it). Prints a table; the bar is 5 times Postfix + OpenDKIM.
#
#   bench/submission.sh [BINARIES]      BINARIES is the folder of rohrpost and rohrpost-bench [target/release, built first]
#                                       REPEATS=3 COUNT=10000 SESSIONS=20; RESULTS=FILE: the results are added there as JSON
#
# Needs smtp-sink (Debian: postfix) and openssl; Postfix is measured where it, opendkim and dovecot (which knows the password) are installed and
# this is root, and passed over, saying so, where not. Both servers sync what they accept; smtp-sink keeps nothing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
. "$here/sending.sh"
repeats=${REPEATS:-3} count=${COUNT:-10000} sessions=${SESSIONS:-20} looked_at=20
ulimit -n "$(ulimit -Hn)"
PATH=$PATH:/usr/sbin:/sbin
for tool in smtp-sink openssl; do
  command -v $tool >/dev/null || { say "$tool is not installed (Debian: postfix, openssl)"; exit 1; }
done
binaries_at "$@"
work=$(mktemp -d "${TMPDIR:-/tmp}/rohrpost-submission.XXXXXX")
chmod 755 "$work"
results=$work/results.jsonl
: > "$results"
server= sink= keeper= opendkim= postfix= dovecot=
stop() { if [ -n "${1:-}" ]; then kill "$1" 2>/dev/null || true; wait "$1" 2>/dev/null || true; fi; }
clean() {
  stop "$server"; stop "$sink"; stop "$keeper"
  if [ -n "$postfix" ]; then postfix -c "$work/pf/etc" stop >/dev/null 2>&1 || true; fi
  stop "$opendkim"; stop "$dovecot"
  if [ -z "${KEEP:-}" ]; then rm -rf "$work"; else say "kept: $work"; fi
}
trap clean EXIT
# Milliseconds of processor time so far, of a server with all its processes, those that have ended included (proc(5): utime, stime, cutime, cstime).
spent() {
  local pids
  case $1 in
  Rohrpost) pids=$server ;;
  *)
    pids=$(tr -d ' ' < "$work/pf/queue/pid/master.pid")
    pids="$pids $(pgrep -d ' ' -P "$pids") $opendkim $dovecot $(pgrep -d ' ' -P "$dovecot")"
    ;;
  esac
  for pid in $pids; do cat "/proc/$pid/stat" 2>/dev/null || true; done |
    awk -v hertz="$(getconf CLK_TCK)" '{ sub(/^.*\) /, ""); sum += $12 + $13 + $14 + $15 } END { print sum * 1000 / hertz }'
}

# --- The other side: one smtp-sink that keeps nothing, and one that keeps all ------------------------------------------------
as=$([ "$(id -u)" = 0 ] && echo "-u postfix" || true)
mkdir -p "$work/kept"
if [ "$(id -u)" = 0 ]; then chown postfix "$work/kept"; fi
smtp-sink $as 127.0.0.1:5825 1000 >/dev/null 2>&1 &
sink=$!
smtp-sink $as -d "$work/kept/%M." 127.0.0.1:5826 1000 >/dev/null 2>&1 &
keeper=$!
await 5825
await 5826

# --- Rohrpost, with its own key in RSA and the Ed25519 that comes with it -----------------------------------------------------
config=$work/rohrpost.toml
"$binaries/rohrpost" -c "$work/init.toml" init --domain example.test --hostname mx.example.test --data "$work/data" >/dev/null
{
  printf 'hostname = "mx.example.test"\ndata = "%s"\n' "$work/data"
  printf '[[listener]]\nprotocol = "submission"\nbind = "127.0.0.1:5725"\nplaintext = true\n'
  printf '[limits]\nconnections_per_address = 1000\n[submission]\nunlimited_accounts = "a@example.test"\n'
  printf '[outgoing]\nloopback = true\n'
  printf '[[route]]\nname = "sink"\ndomains = "sink.test"\nto = "smtp://127.0.0.1:5825"\naccept = true\n'
  printf '[[route]]\nname = "kept"\ndomains = "kept.test"\nto = "smtp://127.0.0.1:5826"\naccept = true\n'
} > "$config"
rohrpost() { "$binaries/rohrpost" -c "$config" "$@"; }
echo secret | rohrpost account add a@example.test --password-stdin >/dev/null
keys=$work/data/dkim/example.test
rm -rf "$keys"
rohrpost dkim rotate example.test >/dev/null
rohrpost dkim activate example.test >/dev/null
rsa=$(echo "$keys"/rsa*.pem) ed25519=$(echo "$keys"/ed*.pem)
start() { # with the Ed25519 key: yes or not
  if [ "$1" = yes ]; then
    if [ -e "$work/ed25519.pem" ]; then mv "$work/ed25519.pem" "$ed25519"; fi
  elif [ -e "$ed25519" ]; then
    mv "$ed25519" "$work/ed25519.pem"
  fi
  "$binaries/rohrpost" -c "$config" serve >> "$work/log" 2>&1 &
  server=$!
  await 5725
}
selector=$(basename "$rsa" .pem)

# --- Postfix, OpenDKIM, and Dovecot for the password --------------------------------------------------------------------------
if [ "$(id -u)" = 0 ] && command -v postfix >/dev/null && command -v opendkim >/dev/null && command -v dovecot >/dev/null; then
  mkdir -p "$work/pf/etc" "$work/pf/queue/private" "$work/pf/data" "$work/dovecot"
  chown postfix "$work/pf/data" "$work/pf/queue/private"
  chmod 700 "$work/pf/queue/private"
  cp "$rsa" "$work/opendkim.pem"
  chown opendkim "$work/opendkim.pem"
  cat > "$work/opendkim.conf" <<C
Syslog no
UserID opendkim
Mode s
Canonicalization relaxed/relaxed
Domain example.test
Selector $selector
KeyFile $work/opendkim.pem
RequireSafeKeys no
SignatureAlgorithm rsa-sha256
Socket inet:5891@127.0.0.1
C
  opendkim -f -x "$work/opendkim.conf" > "$work/opendkim.log" 2>&1 &
  opendkim=$!
  cat > "$work/dovecot.conf" <<C
base_dir = $work/dovecot
log_path = $work/dovecot.log
protocols =
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
passdb {
  driver = static
  args = password=secret
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=/nonexistent
}
service auth {
  unix_listener $work/pf/queue/private/auth {
    mode = 0666
  }
}
C
  dovecot -F -c "$work/dovecot.conf" > "$work/dovecot.out" 2>&1 &
  dovecot=$!
  cp /etc/postfix/master.cf "$work/pf/etc/master.cf" 2>/dev/null || cp /usr/share/postfix/master.cf.dist "$work/pf/etc/master.cf"
  # On our port, and nothing of it in a chroot, which this queue is not prepared for.
  sed -i -E -e 's/^smtp( +inet)/127.0.0.1:5925\1/' -e 's/^([^# ]+ +(inet|unix|fifo|pass) +[-yn] +[-yn] +)y/\1n/' "$work/pf/etc/master.cf"
  printf 'sink.test smtp:[127.0.0.1]:5825\nkept.test smtp:[127.0.0.1]:5826\n' > "$work/pf/etc/transport"
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
mynetworks =
maillog_file = $work/postfix.log
maillog_file_prefixes = /
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
smtpd_tls_security_level = none
smtpd_tls_auth_only = no
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
smtpd_milters = inet:127.0.0.1:5891
milter_default_action = tempfail
default_process_limit = 200
smtp_connection_cache_on_demand = yes
smtpd_client_connection_rate_limit = 0
smtpd_client_connection_count_limit = 0
transport_maps = texthash:$work/pf/etc/transport
alias_maps =
C
  if await 5891 && postfix -c "$work/pf/etc" start >"$work/pf.log" 2>&1 && await 5925; then
    postfix=yes
  else
    say "Postfix with OpenDKIM does not start: measured without it"
    tail -3 "$work/pf.log" "$work/postfix.log" "$work/opendkim.log" >&2 || true
  fi
else
  say "Postfix, OpenDKIM or Dovecot is not there, or this is not root: measured without them"
fi

# --- The load -------------------------------------------------------------------------------------------------------------
empty_rohrpost() { [ "$(rohrpost queue list --limit 1 --json | tr -d ' \n')" = "[]" ]; }
empty_postfix() { postqueue -c "$work/pf/etc" -p 2>/dev/null | grep -q 'is empty'; }
submit() { # name, port, to, count
  timeout 900 "$binaries/rohrpost-bench" --json --name "$1" accept --smtp "127.0.0.1:$2" --login a@example.test:secret --to "$3" --count "$4" \
    --sessions "$sessions" --kept
}
emptied() { # how to see that all is gone
  for _ in $(seq 9000); do
    if "$1"; then return 0; fi
    sleep 0.05
  done
  say "the queue does not empty"; return 1
}
# Every message must be signed so often, and every signature good.
look() { # name, signatures
  local files signed python
  files=$(find "$work/kept" -type f | wc -l)
  signed=$(cat "$work"/kept/* | grep -c '^DKIM-Signature:' || true)
  if [ "$files" -ne "$looked_at" ] || [ "$signed" -ne $((looked_at * $2)) ]; then
    say "$1: $signed signatures in $files messages, wanted $2 in each of $looked_at"; exit 1
  fi
  python=${ROHRPOST_TEST_PYTHON:-$HOME/.cache/rohrpost/python}/bin/python3
  if "$python" -c 'import dkim, nacl' 2>/dev/null; then
    rohrpost dkim show example.test > "$work/records"
    "$python" - "$work/records" "$work"/kept/* <<'P' || exit 1
import re, sys
import dkim

text = open(sys.argv[1]).read()
records = {}
for name, rest in re.findall(r"(\S+\._domainkey\.example\.test)\.?\s(.*?)(?=\S+\._domainkey|\Z)", text, re.S):
    quoted = "".join(re.findall(r'"([^"]*)"', rest))
    found = re.search(r"v=DKIM1[^\n]*", rest)
    records[name] = (quoted or (found.group(0).strip() if found else "")).encode()
good = 0
for path in sys.argv[2:]:
    message = open(path, "rb").read().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    count = len(re.findall(rb"^DKIM-Signature:", message, re.M))
    for index in range(count):
        verifier = dkim.DKIM(message)
        if not verifier.verify(idx=index, dnsfunc=lambda name, timeout=5: records.get(name.decode().rstrip("."))):
            sys.exit("a signature does not hold: " + path)
        good += 1
print("dkimpy: %d signatures hold" % good, file=sys.stderr)
P
  else
    say "$1: $signed signatures; dkimpy is not there to verify them (tests/install-tools.sh)"
  fi
  rm -f "$work"/kept/*
}
run() { # name, port, how to see that all is gone, what is done
  local began before
  before=$(spent "$1")
  began=$(now)
  submit "$1" "$2" x@sink.test "$count" > "$work/submit.json"
  grep -q '"failed":0' "$work/submit.json" || { say "$1: some messages were not taken"; cat "$work/submit.json" >&2; }
  emptied "$3"
  figure "$1" "$4" "until the queue is empty, messages a second" "$(awk -v count="$count" -v took="$(since "$began")" 'BEGIN { printf "%.1f", count / took }')"
  figure "$1" "$4" "submitted, messages a second" "$(sed -E 's/.*"accepted per second":([0-9.]+).*/\1/' "$work/submit.json")"
  figure "$1" "$4" "processor time, ms a message" "$(awk -v before="$before" -v after="$(spent "$1")" -v count="$count" 'BEGIN { printf "%.3f", (after - before) / count }')"
}

# --- Signed? --------------------------------------------------------------------------------------------------------------
start no
submit Rohrpost 5725 x@kept.test "$looked_at" >/dev/null
emptied empty_rohrpost
look Rohrpost 1
stop "$server"
start yes
submit Rohrpost 5725 x@kept.test "$looked_at" >/dev/null
emptied empty_rohrpost
look Rohrpost 2
stop "$server"
if [ -n "$postfix" ]; then
  submit Postfix 5925 x@kept.test "$looked_at" >/dev/null
  emptied empty_postfix
  look "Postfix + OpenDKIM" 1
fi

# --- How fast -------------------------------------------------------------------------------------------------------------
for turn in $(seq "$repeats"); do
  say "turn $turn of $repeats"
  start no
  run Rohrpost 5725 empty_rohrpost "submission, RSA"
  stop "$server"
  start yes
  run Rohrpost 5725 empty_rohrpost "submission, RSA and Ed25519"
  stop "$server"
  server=
  if [ -n "$postfix" ]; then run "Postfix + OpenDKIM" 5925 empty_postfix "submission, RSA"; fi
done
# What nobody can be faster than: RSA on all processors.
limit=$(openssl speed -seconds 3 -multi "$(nproc)" rsa2048 2>/dev/null | awk '/^rsa 2048/ { print $(NF - 1) }')
[ -z "$limit" ] || figure "openssl speed" "signatures of RSA-2048 alone, all processors" "messages a second" "$limit"
"$binaries/rohrpost-bench" table "$results"
if [ -n "${RESULTS:-}" ]; then cat "$results" >> "$RESULTS"; fi
