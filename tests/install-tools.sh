#!/usr/bin/env bash
# Installs the Debian packages whose programs the tests in tests/e2e run, those that are missing. Says nothing and takes no
# time when all are there. As root; otherwise says what to install and lets the tests skip.
set -euo pipefail

# program  package
wanted='
swaks        swaks
swaks-tls    libnet-ssleay-perl
curl         curl
openssl      openssl
sieve-connect sieve-connect
python3      python3
mbsync       isync
offlineimap  offlineimap3
fetchmail    fetchmail
getmail      getmail6
neomutt      neomutt
msmtp        msmtp
mpop         mpop
interimap    interimap
mail-imapclient libmail-imapclient-perl libio-socket-ssl-perl
chromium     chromium
php          php-cli
node         nodejs
npm          npm
roundcube    roundcube-core roundcube-sqlite3 roundcube-plugins php-sqlite3
postfix      postfix
dovecot      dovecot-imapd
sieve-test   dovecot-sieve
nsd          nsd
unbound      unbound
unshare      util-linux
mount        mount
pebble       pebble
mta-sts-query postfix-mta-sts-resolver
horde-autoconfig php-horde-mail-autoconfig
dnssec-signzone bind9-utils
script       bsdutils
strace       strace
mkfs.ext4    e2fsprogs
zstd         zstd
'
PATH=$PATH:/usr/sbin:/sbin

there() {
  case $1 in
  roundcube) [ -e /var/lib/roundcube/index.php ] && [ -e /usr/share/roundcube/plugins/managesieve ] ;;
  horde-autoconfig) [ -e /usr/share/php/Horde/Mail/Autoconfig.php ] ;;
  mail-imapclient) perl -MMail::IMAPClient -MIO::Socket::SSL -e 1 2>/dev/null ;;
  swaks-tls) perl -MNet::SSLeay -e 1 2>/dev/null ;;
  *) command -v "$1" >/dev/null ;;
  esac
}

packages=()
while read -r program package; do
  if [ -n "$program" ] && ! there "$program"; then packages+=($package); fi
done <<<"$wanted"

# Other people's SPF, DKIM, DMARC and ARC, which ours are compared with: PyPI's, in a folder of their own.
python=${ROHRPOST_TEST_PYTHON:-$HOME/.cache/rohrpost/python}
if command -v python3 >/dev/null && ! "$python/bin/python3" -c 'import authheaders, dkim, spf, nacl, dns' 2>/dev/null; then
  echo "tests: installing dkimpy, pyspf and authheaders into $python" >&2
  { python3 -m venv "$python" && "$python/bin/pip" -q install dkimpy==1.1.8 pyspf==2.0.14 authheaders==0.16.3 authres==1.2.0 \
    publicsuffix2==2.20191221 dnspython pynacl; } >&2 ||
    echo "tests: that failed; comparisons with them will be skipped" >&2
fi

# Python's mail libraries, which tests/e2e lets talk to the server.
libraries='imapclient==4.1.0 aioimaplib==2.0.3 imap-tools==1.16.0'
if command -v python3 >/dev/null && ! "$python/bin/python3" -c 'import imapclient, aioimaplib, imap_tools' 2>/dev/null; then
  echo "tests: installing $libraries into $python" >&2
  # shellcheck disable=SC2086 # several words
  { [ -x "$python/bin/pip" ] || python3 -m venv "$python"; "$python/bin/pip" -q install $libraries; } >&2 ||
    echo "tests: that failed; tests with them will be skipped" >&2
fi

[ ${#packages[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
  echo "tests: not Debian; tests that need ${packages[*]} will be skipped" >&2
  exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "tests: some will be skipped; for all of them: sudo apt-get install --no-install-recommends ${packages[*]}" >&2
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
echo "tests: installing ${packages[*]}" >&2
# Some ask for their configuration and want to start: the tests bring their own.
echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections
echo 'roundcube-core roundcube/dbconfig-install boolean false' | debconf-set-selections
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' >$policy
  chmod 755 $policy
  trap 'rm -f $policy' EXIT
fi
install() { apt-get install -qq -y --no-install-recommends "${packages[@]}" >/dev/null; }
install 2>/dev/null || { apt-get update -qq && install; }
