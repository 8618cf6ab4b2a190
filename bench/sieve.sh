#!/usr/bin/env bash
# Measures delivery with a Sieve script of 200 rules for every recipient beside delivery without one: the same server, the same load, in
# turns. Prints a table; the bar is 0.9 of the throughput without. Then the processor time that the server took for a message, which other
# work on the machine disturbs less, and what 200 rules cost in Sieve itself: ours, and Pigeonhole's by `sieve-filter`, where it is installed.
#
#   bench/sieve.sh [BINARIES]      BINARIES is the folder of rohrpost and rohrpost-bench [target/release, built first]
#                                  REPEATS=3 COUNT=10000
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
repeats=${REPEATS:-3} count=${COUNT:-10000}
users=a@example.test,b@example.test,c@example.test,d@example.test
if [ $# -gt 0 ]; then
  binaries=$1
else
  (cd "$root" && cargo build --release --quiet -p rohrpost -p bench && cargo build --release --quiet -p sieve --example rules)
  binaries=$root/target/release
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/rohrpost-sieve.XXXXXX")
server=
clean() {
  if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap clean EXIT

config=$work/rohrpost.toml
"$binaries/rohrpost" -c "$work/init.toml" init --domain example.test --hostname mx.example.test --data "$work/data" >/dev/null
cat > "$config" <<C
hostname = "mx.example.test"
data = "$work/data"
[[listener]]
protocol = "smtp"
bind = "127.0.0.1:3725"
[[listener]]
protocol = "imap"
bind = "127.0.0.1:3743"
plaintext = true
C
rules=$work/rules.sieve
{
  echo 'require ["fileinto", "imap4flags", "body", "envelope"];'
  for n in $(seq 50); do
    echo "if header :contains [\"subject\", \"comments\"] \"[list-$n]\" { fileinto \"Archive\"; stop; }"
    echo "elsif address :is \"from\" \"person$n@elsewhere.example\" { addflag \"\\\\Flagged\"; }"
    echo "if allof(header :matches \"list-id\" \"*<list$n.*>\", not size :over 10M) { fileinto \"Archive\"; stop; }"
    echo "if envelope :localpart :is \"from\" \"robot$n\" { discard; stop; }"
  done
} > "$rules"
for user in ${users//,/ }; do
  echo secret | "$binaries/rohrpost" -c "$config" account add "$user" --password-stdin >/dev/null
  "$binaries/rohrpost" -c "$config" sieve put --account "$user" rules "$rules" >/dev/null
done
"$binaries/rohrpost" -c "$config" serve > "$work/log" 2>&1 &
server=$!
for _ in $(seq 400); do
  if (exec 3<>/dev/tcp/127.0.0.1/3743) 2>/dev/null; then break; fi
  sleep 0.05
done

ticks() { awk '{ print $14 + $15 }' "/proc/$server/stat"; }
deliver() { # name
  local before after
  before=$(ticks)
  "$binaries/rohrpost-bench" --json --name "$1" deliver --smtp 127.0.0.1:3725 --imap 127.0.0.1:3743 --to "$users" --count "$count" --kept \
    >> "$work/results.jsonl"
  after=$(ticks)
  echo "$1: $(((after - before) * 1000000 / $(getconf CLK_TCK) / count)) µs of processor time a message" >> "$work/cpu"
}
for _ in $(seq "$repeats"); do
  for user in ${users//,/ }; do "$binaries/rohrpost" -c "$config" sieve activate --account "$user" --none >/dev/null; done
  deliver "without a script"
  for user in ${users//,/ }; do "$binaries/rohrpost" -c "$config" sieve activate --account "$user" rules >/dev/null; done
  deliver "200 rules"
done
"$binaries/rohrpost-bench" table "$work/results.jsonl"
sort "$work/cpu"
if [ -x "$binaries/examples/rules" ]; then "$binaries/examples/rules"; fi
