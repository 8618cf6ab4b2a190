# What relay.sh and submission.sh have in common; they read it in. They set $root, and $work and $results before a function is called.
say() { printf '%s\n' "$*" >&2; }
binaries_at() { # folder, or nothing: then they are built
  if [ $# -gt 0 ]; then
    binaries=$1
  else
    (cd "$root" && ${SLOT:-} cargo build --release --quiet -p rohrpost -p bench)
    binaries=${CARGO_TARGET_DIR:-$root/target}/release
  fi
}
await() { # port: until somebody listens there
  for _ in $(seq 400); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then return 0; fi
    sleep 0.05
  done
  say "nothing listens at port $1"; return 1
}
now() { date +%s.%N; }
since() { awk -v began="$1" -v now="$(now)" 'BEGIN { printf "%.3f", now - began }'; }
figure() { # server, work, name, value
  printf '{"server":"%s","work":"%s","figures":{"%s":%s}}\n' "$1" "$2" "$3" "$4" >> "$results"
}
