#!/bin/sh
# Installs forgejo-mcp-broker on a Debian or Ubuntu machine with systemd: the broker, forgejo-mcp,
# Caddy with TLS, hardened units. `--help` tells everything, `--dry-run` shows what it would do.
#
# POSIX sh. Everything is in functions and the last line calls them, so that a download that was cut
# anywhere has no effect.

set -eu

# What a release says about itself; empty in a checkout.
RELEASE_VERSION=''
RELEASE_BASE_URL=''
RELEASE_MINISIGN_KEY=''

FORGEJO_MCP_VERSION_DEFAULT='2.34.1'
FORGEJO_MCP_BASE_URL_DEFAULT='https://git.b4mad.industries/agentic-forges/forgejo-mcp/releases/download/v{version}'
ACME_STAGING='https://acme-staging-v02.api.letsencrypt.org/directory'

# ---------------------------------------------------------------------------------------------
# Words and ends
# ---------------------------------------------------------------------------------------------

help() {
  cat <<'HELP'
install.sh: forgejo-mcp-broker on a Debian or Ubuntu machine with systemd.

  curl -fsSL https://example.org/install.sh | sh              asks what it needs to know
  curl -fsSL https://example.org/install.sh | sh -s -- --yes  with answers from the environment

What to do (without one of these: install; a second run changes nothing):
  --upgrade            FJMCP_INSTALL_MODE=upgrade      to the version that the base URL offers, or
                       to --version; hands over without losing a call, and switches back by itself
                       when the new one is not healthy
  --rollback           FJMCP_INSTALL_MODE=rollback     back to the version before
  --uninstall          FJMCP_INSTALL_MODE=uninstall    leaves settings, keys and data
  --purge              FJMCP_INSTALL_PURGE=1           with --uninstall: leaves nothing
  --doctor             FJMCP_INSTALL_MODE=doctor       asks the installed program how it is
  --fetch DIR          FJMCP_INSTALL_FETCH             only fetches and verifies what --offline DIR
                                                       needs on another machine
  --help               this text

Answers (flag, or the variable behind it, or a line NAME=value of the file of --answers):
  --public-url URL           FJMCP_PUBLIC_URL          the address for Claude, without a path
  --forgejo-url URL          FJMCP_FORGEJO_URL         Forgejo as people's browsers see it
  --forgejo-internal-url URL FJMCP_FORGEJO_INTERNAL_URL  as this machine reaches it (the same)
  --forgejo-token-file FILE  FJMCP_INSTALL_FORGEJO_TOKEN[_FILE]  a token with the permission
                             write:user, used once to make the OAuth2 application, never kept
  --forgejo-client-id ID     FJMCP_FORGEJO_CLIENT_ID   or an application that exists already,
  --forgejo-client-secret-file FILE  FJMCP_FORGEJO_CLIENT_SECRET[_FILE]  with its secret
  --answers FILE             FJMCP_INSTALL_ANSWERS     a file with any of these variables

How:
  --yes                FJMCP_INSTALL_YES=1             asks nothing
  --dry-run            FJMCP_INSTALL_DRY_RUN=1         shows the plan and changes nothing
  --version X          FJMCP_INSTALL_VERSION           this version of the broker
  --base-url URL       FJMCP_INSTALL_BASE_URL          where SHA256SUMS and the archives are;
                                                       {version} stands for the version
  --offline DIR|FILE   FJMCP_INSTALL_OFFLINE           from a folder or one tar file, no network
  --forgejo-mcp PATH   FJMCP_INSTALL_FORGEJO_MCP       this program instead of a download
  --forgejo-mcp-version X    FJMCP_INSTALL_FORGEJO_MCP_VERSION
  --forgejo-mcp-base-url URL FJMCP_INSTALL_FORGEJO_MCP_BASE_URL
  --minisign-key KEY   FJMCP_INSTALL_MINISIGN_KEY      public key that SHA256SUMS is signed with
  --require-signature  FJMCP_INSTALL_REQUIRE_SIGNATURE=1  no signature, no installation
  --tls MODE           FJMCP_INSTALL_TLS               acme (default), staging, internal, or the
                                                       URL of an ACME directory
  --acme-email ADDRESS FJMCP_INSTALL_ACME_EMAIL        for the certificate authority
  --no-caddy           FJMCP_INSTALL_NO_CADDY=1        another reverse proxy does TLS
  --no-start           FJMCP_INSTALL_NO_START=1        installs, starts nothing
  --restart            FJMCP_INSTALL_RESTART=1         an upgrade restarts instead of handing over
  --root DIR           FJMCP_INSTALL_ROOT              into another root file system (an image)

Downloads go through the proxy that https_proxy names.

Exit codes:
  0 done, or nothing to do     1 failed in a way that nobody foresaw
  2 wrong flag or answer       3 this machine will not do (system, rights)
  4 an answer is missing       5 a download failed
  6 wrong checksum, signature  7 port 80 or 443 is taken
  8 Caddy's own configuration  9 a Debian package could not be installed
 10 not healthy (an upgrade has been switched back)
 11 nothing is installed, or there is nothing to go back to
 12 declined                  13 another installer runs
 14 Forgejo refused           15 not enough room
With 2 to 7, 11 to 13 and 15 nothing has been changed; with 9 and 14 at most Debian packages have
been added; with 8 Caddy has the configuration that it had.
HELP
}

say() { printf '%s\n' "$*"; }
step() { printf '==> %s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }

die() {
  die_code=$1
  shift
  printf 'install.sh: %s\n' "$*" >&2
  exit "$die_code"
}

USAGE=2 MACHINE=3 ANSWER=4 DOWNLOAD=5 VERIFY=6 PORT=7 CADDY=8 PACKAGE=9
HEALTH=10 ABSENT=11 DECLINED=12 BUSY=13 FORGE=14 ROOM=15

has() { command -v "$1" >/dev/null 2>&1; }

# ---------------------------------------------------------------------------------------------
# Flags, variables, answers
# ---------------------------------------------------------------------------------------------

read_environment() {
  MODE=${FJMCP_INSTALL_MODE:-install}
  PURGE=${FJMCP_INSTALL_PURGE:-}
  FETCH_DIR=${FJMCP_INSTALL_FETCH:-}
  [ -z "$FETCH_DIR" ] || MODE=fetch
  YES=${FJMCP_INSTALL_YES:-}
  DRY_RUN=${FJMCP_INSTALL_DRY_RUN:-}
  WANTED_VERSION=${FJMCP_INSTALL_VERSION:-}
  BASE_URL=${FJMCP_INSTALL_BASE_URL:-}
  OFFLINE=${FJMCP_INSTALL_OFFLINE:-}
  FORGEJO_MCP=${FJMCP_INSTALL_FORGEJO_MCP:-}
  FORGEJO_MCP_VERSION=${FJMCP_INSTALL_FORGEJO_MCP_VERSION:-}
  FORGEJO_MCP_BASE_URL=${FJMCP_INSTALL_FORGEJO_MCP_BASE_URL:-}
  MINISIGN_KEY=${FJMCP_INSTALL_MINISIGN_KEY:-}
  REQUIRE_SIGNATURE=${FJMCP_INSTALL_REQUIRE_SIGNATURE:-}
  TLS=${FJMCP_INSTALL_TLS:-}
  ACME_EMAIL=${FJMCP_INSTALL_ACME_EMAIL:-}
  NO_CADDY=${FJMCP_INSTALL_NO_CADDY:-}
  NO_START=${FJMCP_INSTALL_NO_START:-}
  RESTART=${FJMCP_INSTALL_RESTART:-}
  ROOT=${FJMCP_INSTALL_ROOT:-}
  ANSWERS_FILE=${FJMCP_INSTALL_ANSWERS:-}
  PUBLIC_URL=${FJMCP_PUBLIC_URL:-}
  FORGEJO_URL=${FJMCP_FORGEJO_URL:-}
  FORGEJO_INTERNAL_URL=${FJMCP_FORGEJO_INTERNAL_URL:-}
  CLIENT_ID=${FJMCP_FORGEJO_CLIENT_ID:-}
  CLIENT_SECRET=${FJMCP_FORGEJO_CLIENT_SECRET:-}
  CLIENT_SECRET_FILE=${FJMCP_FORGEJO_CLIENT_SECRET_FILE:-}
  FORGEJO_TOKEN=${FJMCP_INSTALL_FORGEJO_TOKEN:-}
  FORGEJO_TOKEN_FILE=${FJMCP_INSTALL_FORGEJO_TOKEN_FILE:-}
  # What starts from here sees no secret, and the broker's own settings do not disturb it.
  unset FJMCP_FORGEJO_CLIENT_SECRET FJMCP_INSTALL_FORGEJO_TOKEN FJMCP_CONFIG
}

read_flags() {
  while [ $# -gt 0 ]; do
    case $1 in
      --*=*)
        flag_value=${1#*=}
        flag_name=${1%%=*}
        shift
        set -- "$flag_name" "$flag_value" "$@"
        flag_inline=1
        ;;
      *) flag_inline='' ;;
    esac
    case $1 in
      --help | -h | --yes | -y | --dry-run | --require-signature | --no-caddy | --no-start | \
        --restart | \
        --upgrade | --rollback | --uninstall | --purge | --doctor)
        [ -z "$flag_inline" ] || die $USAGE "$1 takes no value"
        read_switch "$1"
        shift
        ;;
      --*)
        is_value_flag "$1" || die $USAGE "there is no flag $1; --help lists them"
        [ $# -ge 2 ] || die $USAGE "$1 needs a value"
        read_value "$1" "$2"
        shift 2
        ;;
      *) die $USAGE "an argument that is neither a flag nor its value: --help lists the flags" ;;
    esac
  done
}

read_switch() {
  case $1 in
    --help | -h) MODE=help ;;
    --yes | -y) YES=1 ;;
    --dry-run) DRY_RUN=1 ;;
    --require-signature) REQUIRE_SIGNATURE=1 ;;
    --no-caddy) NO_CADDY=1 ;;
    --no-start) NO_START=1 ;;
    --restart) RESTART=1 ;;
    --purge) PURGE=1 ;;
    --*) set_mode "${1#--}" ;;
  esac
}

set_mode() {
  [ "$MODE" = help ] && return 0
  [ "$MODE" = install ] || [ "$MODE" = "$1" ] || die $USAGE "--$MODE and --$1 exclude each other"
  MODE=$1
}

is_value_flag() {
  case $1 in
    --version | --base-url | --offline | --forgejo-mcp | --forgejo-mcp-version | \
      --forgejo-mcp-base-url | --minisign-key | --tls | --acme-email | --root | --answers | \
      --public-url | --forgejo-url | --forgejo-internal-url | --forgejo-client-id | \
      --forgejo-client-secret-file | --forgejo-token-file | --fetch) return 0 ;;
  esac
  return 1
}

read_value() {
  case $1 in
    --version) WANTED_VERSION=$2 ;;
    --base-url) BASE_URL=$2 ;;
    --offline) OFFLINE=$2 ;;
    --forgejo-mcp) FORGEJO_MCP=$2 ;;
    --forgejo-mcp-version) FORGEJO_MCP_VERSION=$2 ;;
    --forgejo-mcp-base-url) FORGEJO_MCP_BASE_URL=$2 ;;
    --minisign-key) MINISIGN_KEY=$2 ;;
    --tls) TLS=$2 ;;
    --acme-email) ACME_EMAIL=$2 ;;
    --root) ROOT=$2 ;;
    --answers) ANSWERS_FILE=$2 ;;
    --public-url) PUBLIC_URL=$2 ;;
    --forgejo-url) FORGEJO_URL=$2 ;;
    --forgejo-internal-url) FORGEJO_INTERNAL_URL=$2 ;;
    --forgejo-client-id) CLIENT_ID=$2 ;;
    --forgejo-client-secret-file) CLIENT_SECRET_FILE=$2 ;;
    --forgejo-token-file) FORGEJO_TOKEN_FILE=$2 ;;
    --fetch)
      FETCH_DIR=$2
      set_mode fetch
      ;;
  esac
}

# Lines NAME=value; read as text, never run. What a flag or a variable said wins.
read_answers() {
  [ -n "$ANSWERS_FILE" ] || return 0
  [ -r "$ANSWERS_FILE" ] || die $USAGE "--answers: cannot read $ANSWERS_FILE"
  while IFS= read -r answer_line || [ -n "$answer_line" ]; do
    case $answer_line in '' | '#'*) continue ;; esac
    answer_name=${answer_line%%=*}
    answer_value=${answer_line#*=}
    case $answer_name in
      FJMCP_PUBLIC_URL) PUBLIC_URL=${PUBLIC_URL:-$answer_value} ;;
      FJMCP_FORGEJO_URL) FORGEJO_URL=${FORGEJO_URL:-$answer_value} ;;
      FJMCP_FORGEJO_INTERNAL_URL) FORGEJO_INTERNAL_URL=${FORGEJO_INTERNAL_URL:-$answer_value} ;;
      FJMCP_FORGEJO_CLIENT_ID) CLIENT_ID=${CLIENT_ID:-$answer_value} ;;
      FJMCP_FORGEJO_CLIENT_SECRET) CLIENT_SECRET=${CLIENT_SECRET:-$answer_value} ;;
      FJMCP_FORGEJO_CLIENT_SECRET_FILE) CLIENT_SECRET_FILE=${CLIENT_SECRET_FILE:-$answer_value} ;;
      FJMCP_INSTALL_FORGEJO_TOKEN) FORGEJO_TOKEN=${FORGEJO_TOKEN:-$answer_value} ;;
      FJMCP_INSTALL_FORGEJO_TOKEN_FILE) FORGEJO_TOKEN_FILE=${FORGEJO_TOKEN_FILE:-$answer_value} ;;
      FJMCP_INSTALL_YES) YES=${YES:-$answer_value} ;;
      FJMCP_INSTALL_DRY_RUN) DRY_RUN=${DRY_RUN:-$answer_value} ;;
      FJMCP_INSTALL_VERSION) WANTED_VERSION=${WANTED_VERSION:-$answer_value} ;;
      FJMCP_INSTALL_BASE_URL) BASE_URL=${BASE_URL:-$answer_value} ;;
      FJMCP_INSTALL_OFFLINE) OFFLINE=${OFFLINE:-$answer_value} ;;
      FJMCP_INSTALL_FORGEJO_MCP) FORGEJO_MCP=${FORGEJO_MCP:-$answer_value} ;;
      FJMCP_INSTALL_FORGEJO_MCP_VERSION)
        FORGEJO_MCP_VERSION=${FORGEJO_MCP_VERSION:-$answer_value}
        ;;
      FJMCP_INSTALL_FORGEJO_MCP_BASE_URL)
        FORGEJO_MCP_BASE_URL=${FORGEJO_MCP_BASE_URL:-$answer_value}
        ;;
      FJMCP_INSTALL_MINISIGN_KEY) MINISIGN_KEY=${MINISIGN_KEY:-$answer_value} ;;
      FJMCP_INSTALL_REQUIRE_SIGNATURE) REQUIRE_SIGNATURE=${REQUIRE_SIGNATURE:-$answer_value} ;;
      FJMCP_INSTALL_TLS) TLS=${TLS:-$answer_value} ;;
      FJMCP_INSTALL_ACME_EMAIL) ACME_EMAIL=${ACME_EMAIL:-$answer_value} ;;
      FJMCP_INSTALL_NO_CADDY) NO_CADDY=${NO_CADDY:-$answer_value} ;;
      FJMCP_INSTALL_NO_START) NO_START=${NO_START:-$answer_value} ;;
      FJMCP_INSTALL_RESTART) RESTART=${RESTART:-$answer_value} ;;
      *) die $USAGE "--answers: $ANSWERS_FILE has a line that names none of the variables of --help" ;;
    esac
  done <"$ANSWERS_FILE"
}

set_paths() {
  case $ROOT in
    '' | /) ROOT='' ;;
    /*) ROOT=${ROOT%/} ;;
    *) die $USAGE "--root: must be an absolute path" ;;
  esac
  [ -z "$ROOT" ] || [ -d "$ROOT" ] || die $USAGE "--root: there is no directory $ROOT"
  OPT=$ROOT/opt/fjmcp-broker
  ETC=$ROOT/etc/fjmcp-broker
  CONFIG=$ETC/config.toml
  CREDENTIALS=$ETC/credentials
  # What the installer remembers of its own doing.
  MEMORY=$ETC/installer
  STATE=$ROOT/var/lib/fjmcp-broker
  UNITS=$ROOT/etc/systemd/system
  BIN=$ROOT/usr/local/bin
  CADDY_DIR=$ROOT/etc/caddy
  CADDY_SITE=$CADDY_DIR/fjmcp-broker.caddy
  CADDY_FILE=$CADDY_DIR/Caddyfile
  CADDY_DROPIN=$UNITS/caddy.service.d/fjmcp-broker.conf
  CA_COPY=$ROOT/usr/local/share/ca-certificates/fjmcp-broker-caddy.crt
}

# What an earlier run was told; a flag of this run wins.
recall() {
  [ -r "$MEMORY/answers" ] || return 0
  while IFS='=' read -r recall_name recall_value; do
    case $recall_name in
      BASE_URL) BASE_URL=${BASE_URL:-$recall_value} ;;
      TLS) TLS=${TLS:-$recall_value} ;;
      ACME_EMAIL) ACME_EMAIL=${ACME_EMAIL:-$recall_value} ;;
      NO_CADDY) NO_CADDY=${NO_CADDY:-$recall_value} ;;
      MINISIGN_KEY) MINISIGN_KEY=${MINISIGN_KEY:-$recall_value} ;;
      REQUIRE_SIGNATURE) REQUIRE_SIGNATURE=${REQUIRE_SIGNATURE:-$recall_value} ;;
      FORGEJO_MCP_BASE_URL) FORGEJO_MCP_BASE_URL=${FORGEJO_MCP_BASE_URL:-$recall_value} ;;
      FORGEJO_MCP_VERSION) FORGEJO_MCP_VERSION=${FORGEJO_MCP_VERSION:-$recall_value} ;;
    esac
  done <"$MEMORY/answers"
}

remembered_answers() {
  cat <<MEMORY_TEXT
BASE_URL=$BASE_URL
TLS=$TLS
ACME_EMAIL=$ACME_EMAIL
NO_CADDY=$NO_CADDY
MINISIGN_KEY=$MINISIGN_KEY
REQUIRE_SIGNATURE=$REQUIRE_SIGNATURE
FORGEJO_MCP_BASE_URL=$FORGEJO_MCP_BASE_URL
FORGEJO_MCP_VERSION=$CHOSEN_MCP_VERSION
MEMORY_TEXT
}

set_defaults() {
  BASE_URL=${BASE_URL:-$RELEASE_BASE_URL}
  BASE_URL=${BASE_URL%/}
  MINISIGN_KEY=${MINISIGN_KEY:-$RELEASE_MINISIGN_KEY}
  # Whoever chose a version stays with it; for all others an upgrade brings the one that fits.
  CHOSEN_MCP_VERSION=$FORGEJO_MCP_VERSION
  FORGEJO_MCP_VERSION=${FORGEJO_MCP_VERSION:-$FORGEJO_MCP_VERSION_DEFAULT}
  FORGEJO_MCP_BASE_URL=${FORGEJO_MCP_BASE_URL:-$FORGEJO_MCP_BASE_URL_DEFAULT}
  FORGEJO_MCP_BASE_URL=${FORGEJO_MCP_BASE_URL%/}
  TLS=${TLS:-acme}
}

check_flags() {
  case $MODE in
    install | upgrade | rollback | uninstall | doctor | fetch) ;;
    *) die $USAGE 'FJMCP_INSTALL_MODE: upgrade, rollback, uninstall or doctor' ;;
  esac
  [ "$MODE" != fetch ] || [ -n "$FETCH_DIR" ] || die $USAGE "--fetch: which directory?"
  [ -z "$PURGE" ] || [ "$MODE" = uninstall ] || die $USAGE "--purge goes with --uninstall"
  is_plain "$WANTED_VERSION" || die $USAGE "--version: letters, digits and . + - only"
  is_plain "$FORGEJO_MCP_VERSION" || die $USAGE "--forgejo-mcp-version: letters, digits and . + - only"
  case $TLS in
    acme | staging | internal) ;;
    https://*) is_url "$TLS" || die $USAGE "--tls: that is no URL" ;;
    *) die $USAGE "--tls: acme, staging, internal, or the https URL of an ACME directory" ;;
  esac
  case $ACME_EMAIL in
    *[!A-Za-z0-9@._+-]*) die $USAGE "--acme-email: that is no address" ;;
  esac
  [ -z "$REQUIRE_SIGNATURE" ] || [ -n "$MINISIGN_KEY" ] ||
    die $USAGE "--require-signature needs --minisign-key: there is no key to check one with"
  check_base_url --base-url "$BASE_URL"
  check_base_url --forgejo-mcp-base-url "$FORGEJO_MCP_BASE_URL"
  check_answers
}

# Over plain http anybody on the way could give a program and its checksum together.
check_base_url() {
  case $2 in
    '') ;;
    https://*) ;;
    http://127.0.0.1* | http://localhost* | 'http://[::1]'*) ;;
    http://*)
      [ -n "$REQUIRE_SIGNATURE" ] ||
        die $USAGE "$1: plain http only from this machine itself, or with --require-signature"
      ;;
    *) die $USAGE "$1: must be an https URL" ;;
  esac
  case $2 in *[!A-Za-z0-9:/._~%{}+@=\&?\[\]-]*) die $USAGE "$1: that is no URL" ;; esac
}

check_answers() {
  PUBLIC_URL=${PUBLIC_URL%/}
  FORGEJO_URL=${FORGEJO_URL%/}
  FORGEJO_INTERNAL_URL=${FORGEJO_INTERNAL_URL%/}
  if [ -n "$PUBLIC_URL" ]; then
    case $PUBLIC_URL in
      https://*/*) die $USAGE "--public-url: must not have a path" ;;
      https://?*) is_url "$PUBLIC_URL" || die $USAGE "--public-url: that is no URL" ;;
      *) die $USAGE "--public-url: must begin with https://, hosted clients accept nothing else" ;;
    esac
  fi
  for check_pair in "--forgejo-url $FORGEJO_URL" "--forgejo-internal-url $FORGEJO_INTERNAL_URL"; do
    check_url=${check_pair#* }
    [ -n "$check_url" ] || continue
    case $check_url in
      http://?* | https://?*) is_url "$check_url" || die $USAGE "${check_pair%% *}: that is no URL" ;;
      *) die $USAGE "${check_pair%% *}: must begin with https:// or http://" ;;
    esac
  done
  case $CLIENT_ID in *[!A-Za-z0-9._-]*) die $USAGE "--forgejo-client-id: that is no client id" ;; esac
  if [ -n "$CLIENT_SECRET_FILE" ] && [ -z "$CLIENT_SECRET" ]; then
    [ -r "$CLIENT_SECRET_FILE" ] || die $USAGE "--forgejo-client-secret-file: cannot read it"
    CLIENT_SECRET=$(head -n 1 "$CLIENT_SECRET_FILE")
  fi
  case $CLIENT_SECRET in *[!!-~]*) die $USAGE "the client secret holds characters that none has" ;; esac
  if [ -n "$FORGEJO_TOKEN_FILE" ] && [ -z "$FORGEJO_TOKEN" ]; then
    [ -r "$FORGEJO_TOKEN_FILE" ] || die $USAGE "--forgejo-token-file: cannot read it"
    FORGEJO_TOKEN=$(head -n 1 "$FORGEJO_TOKEN_FILE")
  fi
  case $FORGEJO_TOKEN in *[!A-Za-z0-9._-]*) die $USAGE "the Forgejo token holds characters that none has" ;; esac
}

is_plain() { case $1 in *[!A-Za-z0-9.+-]* | .*) return 1 ;; esac }

# Strict, since the text ends up in TOML, in a Caddyfile and in JSON.
is_url() {
  case ${1#*://} in
    '' | *[!A-Za-z0-9:/._~%-]*) return 1 ;;
  esac
}

# The value of a key of the configuration that is there already.
config_value() {
  [ -r "$CONFIG" ] || return 0
  sed -n "s/^[[:space:]]*$1[[:space:]]*=[[:space:]]*[\"']\\([^\"']*\\)[\"'].*/\\1/p" "$CONFIG" | head -n 1
}

# ---------------------------------------------------------------------------------------------
# Looking
# ---------------------------------------------------------------------------------------------

manages_services() { [ -d "$ROOT/run/systemd/system" ]; }
is_root() { [ "$(id -u)" = 0 ]; }
is_installed() { [ -L "$OPT/current" ] && [ -x "$OPT/current/fjmcp-broker" ]; }
installed_version() { basename "$(readlink "$OPT/current")"; }
unit_active() { manages_services && [ "$(systemctl is-active "$1" 2>/dev/null || :)" = active ]; }

look_at_rights() {
  [ -n "$ROOT" ] || [ -n "$DRY_RUN" ] || is_root ||
    die $MACHINE "must run as root: put sudo before sh, or try --dry-run"
}

look_at_machine() {
  case $(uname -s) in Linux) ;; *) die $MACHINE "this is not Linux" ;; esac
  case $(uname -m) in
    x86_64 | amd64) ARCH=x64 GO_ARCH=amd64 ;;
    aarch64 | arm64) ARCH=arm64 GO_ARCH=arm64 ;;
    *) die $MACHINE "there is no build for $(uname -m), only for x86_64 and aarch64" ;;
  esac
  [ -r "$ROOT/etc/os-release" ] || die $MACHINE "there is no /etc/os-release: which system is this?"
  os_like=$(os_field ID)' '$(os_field ID_LIKE)
  OS_NAME=$(os_field PRETTY_NAME)
  case " $os_like " in
    *' debian '* | *' ubuntu '*) ;;
    *) die $MACHINE "this is ${OS_NAME:-an unknown system}; the installer knows Debian and Ubuntu" ;;
  esac
  if ldd --version 2>&1 | grep -qi musl; then
    die $MACHINE "the C library is musl; the program is built for glibc"
  fi
  [ -n "$ROOT" ] || manages_services || die $MACHINE "systemd does not run this machine"
  has systemctl || die $MACHINE "there is no systemctl"
  SYSTEMD=$(systemctl --version | sed -n 's/^systemd \([0-9]*\).*/\1/p' | head -n 1)
  [ "${SYSTEMD:-0}" -ge 249 ] || die $MACHINE "systemd ${SYSTEMD:-?} is too old, 249 is needed"
}

os_field() { sed -n "s/^$1=\"\\{0,1\\}\\([^\"]*\\)\"\\{0,1\\}\$/\\1/p" "$ROOT/etc/os-release" | head -n 1; }

look_at_room() {
  room_at=$ROOT/opt
  [ -d "$room_at" ] || room_at=$ROOT/
  check_room "$room_at" "${FJMCP_INSTALL_ROOM_KIB:-524288}"
  # The archive is unpacked here first.
  check_room "${TMPDIR:-/tmp}" 262144
}

check_room() {
  room_kib=$(df -Pk "$1" 2>/dev/null | awk 'NR == 2 { print $4 }')
  [ "${room_kib:-0}" -ge "$2" ] || die $ROOM "only ${room_kib:-0} KiB are free at $1, $2 are needed"
}

SANDBOX_NOTE=''
look_at_namespaces() {
  [ -z "$ROOT" ] || return 0
  if [ "$(cat /proc/sys/user/max_user_namespaces 2>/dev/null || echo 0)" = 0 ]; then
    SANDBOX_NOTE='user namespaces are off (user.max_user_namespaces = 0)'
  elif [ "$(cat /proc/sys/kernel/unprivileged_userns_clone 2>/dev/null || echo 1)" = 0 ]; then
    SANDBOX_NOTE='user namespaces are off (kernel.unprivileged_userns_clone = 0)'
  fi
  [ -z "$SANDBOX_NOTE" ] || warn "$SANDBOX_NOTE: children will run without their sandbox"
}

# Which program listens on the port; empty: none.
port_owner() {
  if has ss; then
    ss -Hltnp "sport = :$1" 2>/dev/null | awk '
      { owner = "an unknown program"; if (match($0, /\(\("[^"]*"/)) owner = substr($0, RSTART + 3, RLENGTH - 4); print owner; exit }'
  else
    port_hex=$(printf '%04X' "$1")
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
      awk -v p=":$port_hex" '$4 == "0A" && substr($2, length($2) - 4) == p { print "an unknown program"; exit }'
  fi
}

look_at_ports() {
  [ -z "$NO_CADDY" ] || return 0
  manages_services || return 0
  for port in 80 "${PUBLIC_PORT:-443}"; do
    owner=$(port_owner "$port")
    case $owner in
      '') ;;
      caddy)
        unit_active caddy.service ||
          die $PORT "port $port is held by a Caddy that is not Debian's caddy.service." \
            "Add the site of $(site_hint) to its configuration and use --no-caddy"
        ;;
      *)
        die $PORT "port $port is held by $owner. Stop it, or keep it as the reverse proxy and use" \
          "--no-caddy (docs/deploy.md, \"Another reverse proxy\")"
        ;;
    esac
  done
}

site_hint() { printf '%s' 'caddy/fjmcp-broker.caddy in the archive'; }

# An address that belongs to another machine is worth a word, not a refusal: there may be a NAT.
look_at_dns() {
  [ -n "$PUBLIC_HOST" ] && [ -z "$ROOT" ] && has getent || return 0
  getent ahosts "$PUBLIC_HOST" >/dev/null 2>&1 ||
    warn "the name $PUBLIC_HOST has no address yet; certificates and clients need one"
}

look_at_forgejo() {
  FORGEJO_HINT=''
  for forgejo_ini in "$ROOT/etc/forgejo/app.ini" "$ROOT/etc/gitea/app.ini"; do
    [ -r "$forgejo_ini" ] || continue
    FORGEJO_HINT=$(sed -n 's/^[[:space:]]*ROOT_URL[[:space:]]*=[[:space:]]*\([^[:space:]]*\).*/\1/p' "$forgejo_ini" | head -n 1)
    FORGEJO_HINT=${FORGEJO_HINT%/}
    [ -z "$FORGEJO_HINT" ] || return 0
  done
}

# A forge that is down now is worth a word: the broker waits for it, and says so.
look_at_forgejo_address() {
  [ -z "$ROOT" ] && has curl || return 0
  forgejo_at=${FORGEJO_INTERNAL_URL:-$FORGEJO_URL}
  forgejo_says=$(curl -sS --connect-timeout 5 --max-time 10 "$forgejo_at/api/v1/version" 2>&1) || :
  case $forgejo_says in
    *'"version"'*) ;;
    *) warn "$forgejo_at does not answer like a Forgejo from here: $(printf '%s' "$forgejo_says" | head -n 1 | cut -c 1-100)" ;;
  esac
}

# Whose configuration Caddy has: none, ours, debian's (untouched), or foreign.
caddy_state() {
  if [ ! -e "$CADDY_FILE" ]; then
    echo none
  elif [ -e "$MEMORY/Caddyfile.sha256" ] && [ "$(sha256_of "$CADDY_FILE")" = "$(cat "$MEMORY/Caddyfile.sha256")" ]; then
    echo ours
  elif imports_site "$CADDY_FILE"; then
    echo imports
  elif [ "$(md5_of "$CADDY_FILE")" = "$(packaged_md5)" ]; then
    echo debian
  else
    echo foreign
  fi
}

imports_site() { grep -q '^[[:space:]]*import[[:space:]].*fjmcp-broker\.caddy' "$1"; }
sha256_of() { sha256sum "$1" | cut -d ' ' -f 1; }
md5_of() { md5sum "$1" | cut -d ' ' -f 1; }
packaged_md5() {
  dpkg-query -W -f='${Conffiles}\n' caddy 2>/dev/null | awk '$1 == "/etc/caddy/Caddyfile" { print $2 }'
}

# ---------------------------------------------------------------------------------------------
# Asking
# ---------------------------------------------------------------------------------------------

has_terminal() { [ -z "$YES" ] && [ -c /dev/tty ] && (: </dev/tty) 2>/dev/null; }

# ask QUESTION DEFAULT: the answer is in REPLY.
ask() {
  if [ -n "$2" ]; then printf '%s [%s]: ' "$1" "$2" >/dev/tty; else printf '%s: ' "$1" >/dev/tty; fi
  IFS= read -r REPLY </dev/tty || die $DECLINED "no answer"
  REPLY=${REPLY:-$2}
}

# The echo is off before the question shows: whoever pastes at once is not seen either.
MUTED=''
ask_secret() {
  MUTED=1
  stty -echo </dev/tty 2>/dev/null || :
  printf '%s (not shown): ' "$1" >/dev/tty
  IFS= read -r REPLY </dev/tty || REPLY=''
  unmute
  printf '\n' >/dev/tty
}

unmute() {
  [ -z "$MUTED" ] || stty echo </dev/tty 2>/dev/null || :
  MUTED=''
}

missing() {
  die $ANSWER "$1 is missing and there is nobody to ask (no terminal, or --yes)." \
    "Give $2, the variable $3, or a line of the file of --answers"
}

gather_answers() {
  GIVEN_PUBLIC_URL=$PUBLIC_URL GIVEN_FORGEJO_URL=$FORGEJO_URL
  GIVEN_INTERNAL=$FORGEJO_INTERNAL_URL GIVEN_CLIENT_ID=$CLIENT_ID
  PUBLIC_URL=${PUBLIC_URL:-$(config_value public_url)}
  FORGEJO_URL=${FORGEJO_URL:-$(config_value forgejo_url)}
  FORGEJO_INTERNAL_URL=${FORGEJO_INTERNAL_URL:-$(config_value forgejo_internal_url)}
  CLIENT_ID=${CLIENT_ID:-$(config_value forgejo_client_id)}
  # A run that was cut off between the application and the configuration.
  CLIENT_ID=${CLIENT_ID:-$(cat "$MEMORY/client-id" 2>/dev/null || :)}
  if [ -z "$PUBLIC_URL" ]; then
    has_terminal || missing 'the public address' --public-url FJMCP_PUBLIC_URL
    ask 'Address for Claude and other clients, for example https://mcp.example.org' ''
    PUBLIC_URL=$REPLY
    [ -n "$PUBLIC_URL" ] || die $ANSWER 'the public address is missing'
  fi
  if [ -z "$FORGEJO_URL" ]; then
    has_terminal || missing 'the address of Forgejo' --forgejo-url FJMCP_FORGEJO_URL
    ask "Address of Forgejo as people's browsers see it" "$FORGEJO_HINT"
    FORGEJO_URL=$REPLY
    [ -n "$FORGEJO_URL" ] || die $ANSWER 'the address of Forgejo is missing'
  fi
  check_answers
  name_public_host
  gather_application
}

name_public_host() {
  public_authority=${PUBLIC_URL#https://}
  PUBLIC_HOST=${public_authority%%:*}
  PUBLIC_PORT=443
  case $public_authority in *:*) PUBLIC_PORT=${public_authority##*:} ;; esac
}

gather_application() {
  [ -s "$CREDENTIALS/forgejo_client_secret" ] && [ -n "$CLIENT_ID" ] && return 0
  [ -n "$CLIENT_ID" ] && [ -n "$CLIENT_SECRET" ] && return 0
  [ -n "$FORGEJO_TOKEN" ] && return 0
  if ! has_terminal; then
    say_how_to_make_application >&2
    missing 'the OAuth2 application in Forgejo' \
      '--forgejo-token-file, or --forgejo-client-id with --forgejo-client-secret-file' \
      'FJMCP_INSTALL_FORGEJO_TOKEN, or FJMCP_FORGEJO_CLIENT_ID with FJMCP_FORGEJO_CLIENT_SECRET'
  fi
  say 'The broker needs an OAuth2 application in Forgejo. With a token of yours (permission' \
    'write:user) it is made now; the token is used once and not kept.'
  ask_secret 'Forgejo token, or nothing to make the application by hand'
  FORGEJO_TOKEN=$REPLY
  if [ -z "$FORGEJO_TOKEN" ]; then
    say_how_to_make_application
    ask 'Client ID that Forgejo shows' "$CLIENT_ID"
    CLIENT_ID=$REPLY
    ask_secret 'Client secret that Forgejo shows'
    CLIENT_SECRET=$REPLY
    if [ -z "$CLIENT_ID" ] || [ -z "$CLIENT_SECRET" ]; then die $ANSWER 'client id or secret is missing'; fi
  fi
  check_answers
}

say_how_to_make_application() {
  cat <<TEXT
Make the OAuth2 application in Forgejo:
  open          $FORGEJO_URL/user/settings/applications
                (for all users: $FORGEJO_URL/admin/applications)
  name          forgejo-mcp-broker
  redirect URI  $PUBLIC_URL/oauth/callback
  tick          Confidential client
TEXT
}

confirm() {
  if [ -n "$YES" ]; then return 0; fi
  has_terminal || die $ANSWER "there is no terminal to ask on: --yes says that the plan is fine"
  ask "$1 (yes/no)" no
  case $REPLY in y | yes | Y | YES | Yes) ;; *) die $DECLINED 'nothing has been changed' ;; esac
}

# ---------------------------------------------------------------------------------------------
# Fetching and verifying
# ---------------------------------------------------------------------------------------------

TEMPORARY=''
UNDO=''

make_temporary() {
  TEMPORARY=$(umask 077 && mktemp -d "${TMPDIR:-/tmp}/fjmcp-install.XXXXXXXX")
}

cleanup() {
  cleanup_code=$?
  trap - EXIT
  trap '' INT TERM HUP
  set +e
  unmute
  if [ -n "$UNDO" ]; then
    undo=$UNDO
    UNDO=''
    "$undo"
  fi
  [ -z "$TEMPORARY" ] || rm -rf "$TEMPORARY"
  exit "$cleanup_code"
}

take_lock() {
  [ -z "$DRY_RUN" ] && has flock || return 0
  lock_dir=$ROOT/run/lock
  [ -d "$lock_dir" ] || lock_dir=$ROOT/run
  [ -d "$lock_dir" ] || return 0
  exec 9>"$lock_dir/fjmcp-broker-install.lock"
  flock -n 9 || die $BUSY 'another installer runs on this machine'
}

download() {
  if has curl; then
    download_protocols='=https'
    case $1 in http://*) download_protocols='=http,https' ;; esac
    curl -fsSL --proto "$download_protocols" --proto-redir "$download_protocols" --tlsv1.2 \
      --retry 3 --retry-delay 1 --connect-timeout 15 --max-time 1800 -o "$2" "$1"
  elif wget --version 2>/dev/null | grep -q GNU; then
    case $1 in
      https://*) wget -q --https-only --secure-protocol=TLSv1_2 -t 3 -T 20 -O "$2" "$1" ;;
      *) wget -q -t 3 -T 20 -O "$2" "$1" ;;
    esac
  else
    die $MACHINE 'neither curl nor wget is installed'
  fi
}

# obtain BASE NAME: into the temporary directory, from the folder or the network.
obtain() {
  if [ -n "$OFFLINE" ]; then
    [ -r "$OFFLINE_DIR/$2" ] || die $DOWNLOAD "--offline: there is no $2 in $OFFLINE"
    cp "$OFFLINE_DIR/$2" "$TEMPORARY/$2"
  else
    obtain_from=$(printf '%s' "$1" | sed "s/{version}/$3/g")
    download "$obtain_from/$2" "$TEMPORARY/$2" || die $DOWNLOAD "cannot get $obtain_from/$2"
  fi
}

open_offline() {
  [ -n "$OFFLINE" ] || return 0
  if [ -d "$OFFLINE" ]; then
    OFFLINE_DIR=$OFFLINE
  elif [ -f "$OFFLINE" ]; then
    OFFLINE_DIR=$TEMPORARY/offline
    mkdir "$OFFLINE_DIR"
    unpack_to "$OFFLINE" "$OFFLINE_DIR"
    # A tar file of the folder, or of what is in it.
    if [ ! -e "$OFFLINE_DIR/SHA256SUMS" ]; then
      for offline_inner in "$OFFLINE_DIR"/*/SHA256SUMS; do
        if [ -e "$offline_inner" ]; then OFFLINE_DIR=$(dirname "$offline_inner"); fi
      done
    fi
  else
    die $USAGE "--offline: there is no $OFFLINE"
  fi
}

unpack_to() {
  if tar -tf "$1" 2>/dev/null | grep -Eq '(^/|(^|/)\.\.(/|$))'; then
    die $VERIFY "$(basename "$1") holds paths that lead outside of it"
  fi
  tar -xof "$1" -C "$2" 2>/dev/null || die $VERIFY "$(basename "$1") cannot be unpacked"
}

# Finds out which archive it will be; the checksums are verified against a signature where a key is.
resolve_release() {
  [ -n "$BASE_URL" ] || [ -n "$OFFLINE" ] ||
    die $ANSWER 'where to download from is missing: give --base-url, FJMCP_INSTALL_BASE_URL, or --offline'
  folder_version=${WANTED_VERSION:-$RELEASE_VERSION}
  case $BASE_URL in
    *'{version}'*) [ -n "$folder_version" ] || [ -n "$OFFLINE" ] ||
      die $ANSWER '--base-url holds {version}: which one? Give --version' ;;
  esac
  obtain "$BASE_URL" SHA256SUMS "$folder_version"
  check_signature
  archives=$(awk -v end="-linux-$ARCH.tar.gz" '
    { name = $2; sub(/^\*/, "", name); at = length(name) - length(end) + 1 }
    index(name, "fjmcp-broker-") == 1 && at > 0 && substr(name, at) == end { print name }' "$TEMPORARY/SHA256SUMS")
  if [ -n "$WANTED_VERSION" ]; then
    ARCHIVE=fjmcp-broker-$WANTED_VERSION-linux-$ARCH.tar.gz
    printf '%s\n' "$archives" | grep -Fxq "$ARCHIVE" ||
      die $DOWNLOAD "SHA256SUMS does not name $ARCHIVE"
  else
    ARCHIVE=$archives
    case $ARCHIVE in
      '') die $DOWNLOAD "SHA256SUMS names no archive for linux-$ARCH" ;;
      *'
'*) die $ANSWER 'there are several versions: which one? Give --version' ;;
    esac
  fi
  VERSION=${ARCHIVE#fjmcp-broker-}
  VERSION=${VERSION%-linux-"$ARCH".tar.gz}
  is_plain "$VERSION" || die $VERIFY 'SHA256SUMS names an archive in an odd way'
}

check_signature() {
  [ -n "$MINISIGN_KEY" ] || return 0
  if [ -n "$OFFLINE" ]; then
    [ ! -r "$OFFLINE_DIR/SHA256SUMS.minisig" ] || cp "$OFFLINE_DIR/SHA256SUMS.minisig" "$TEMPORARY/"
  else
    signature_url=$(printf '%s' "$BASE_URL" | sed "s/{version}/$folder_version/g")
    download "$signature_url/SHA256SUMS.minisig" "$TEMPORARY/SHA256SUMS.minisig" 2>/dev/null || :
  fi
  if [ ! -s "$TEMPORARY/SHA256SUMS.minisig" ]; then
    [ -z "$REQUIRE_SIGNATURE" ] || die $VERIFY 'SHA256SUMS has no signature (--require-signature)'
    warn 'SHA256SUMS has no signature; only its checksums are verified'
    return 0
  fi
  if ! has minisign; then
    # The key that a release brings is worth a check where one can be made; one that was given, always.
    if [ -z "$REQUIRE_SIGNATURE" ] && [ "$MINISIGN_KEY" = "$RELEASE_MINISIGN_KEY" ]; then
      warn 'minisign is not installed; only checksums are verified, not their signature'
      return 0
    fi
    die $VERIFY 'a key is given and minisign is missing: apt-get install minisign'
  fi
  if [ -r "$MINISIGN_KEY" ]; then
    set -- -p "$MINISIGN_KEY"
  else
    set -- -P "$MINISIGN_KEY"
  fi
  minisign -Vq -m "$TEMPORARY/SHA256SUMS" -x "$TEMPORARY/SHA256SUMS.minisig" "$@" >/dev/null 2>&1 ||
    die $VERIFY 'the signature of SHA256SUMS is wrong: this is not what the project has released'
}

# check_sum NAME SUMS: before anything looks into the file.
check_sum() {
  sum_wanted=$(awk -v n="$1" '{ name = $2; sub(/^\*/, "", name) } name == n { print $1; exit }' "$TEMPORARY/$2")
  [ -n "$sum_wanted" ] || die $VERIFY "$2 does not name $1"
  [ "$(sha256_of "$TEMPORARY/$1")" = "$sum_wanted" ] ||
    die $VERIFY "$1 is not what $2 says: wrong checksum; nothing of it has been used"
}

fetch_broker() {
  step "Fetching $ARCHIVE"
  obtain "$BASE_URL" "$ARCHIVE" "$VERSION"
  check_sum "$ARCHIVE" SHA256SUMS
  mkdir "$TEMPORARY/broker"
  unpack_to "$TEMPORARY/$ARCHIVE" "$TEMPORARY/broker"
  NEW_PROGRAM=$TEMPORARY/broker
  if [ ! -e "$NEW_PROGRAM/fjmcp-broker" ]; then
    for unpacked in "$TEMPORARY/broker"/*/fjmcp-broker; do
      if [ -e "$unpacked" ]; then NEW_PROGRAM=$(dirname "$unpacked"); fi
    done
  fi
  for expected in fjmcp-broker systemd/fjmcp-broker.service caddy/fjmcp-broker.caddy; do
    [ -f "$NEW_PROGRAM/$expected" ] || die $VERIFY "$ARCHIVE holds no $expected"
  done
  new_says=$("$NEW_PROGRAM/fjmcp-broker" --version 2>/dev/null) ||
    die $MACHINE "the program of $ARCHIVE does not run on this machine"
  case $new_says in
    "fjmcp-broker $VERSION "*) ;;
    *) die $VERIFY "the program of $ARCHIVE says that it is another version: $new_says" ;;
  esac
}

forgejo_mcp_archive() { printf 'forgejo-mcp_%s_linux_%s.tar.gz' "$FORGEJO_MCP_VERSION" "$GO_ARCH"; }
forgejo_mcp_sums() { printf 'forgejo-mcp_%s_checksums.txt' "$FORGEJO_MCP_VERSION"; }

# Which directory of forgejo-mcp it will be; needs no download.
name_forgejo_mcp() {
  if [ -n "$FORGEJO_MCP" ]; then
    if [ ! -f "$FORGEJO_MCP" ] || [ ! -r "$FORGEJO_MCP" ]; then
      die $USAGE "--forgejo-mcp: cannot read $FORGEJO_MCP"
    fi
    case $(dd if="$FORGEJO_MCP" bs=1 count=4 2>/dev/null | od -An -c | tr -d ' ') in
      177ELF) ;;
      *) die $USAGE "--forgejo-mcp: must be a program, not a script: it is installed so that it can be run but not read" ;;
    esac
    FORGEJO_MCP_NAME=local-$(sha256_of "$FORGEJO_MCP" | cut -c 1-12)
  else
    FORGEJO_MCP_NAME=$FORGEJO_MCP_VERSION
  fi
}

fetch_forgejo_mcp() {
  [ -z "$FORGEJO_MCP" ] || return 0
  [ ! -e "$OPT/forgejo-mcp/$FORGEJO_MCP_NAME/forgejo-mcp" ] || [ "$MODE" = fetch ] || return 0
  step "Fetching $(forgejo_mcp_archive)"
  obtain "$FORGEJO_MCP_BASE_URL" "$(forgejo_mcp_sums)" "$FORGEJO_MCP_VERSION"
  obtain "$FORGEJO_MCP_BASE_URL" "$(forgejo_mcp_archive)" "$FORGEJO_MCP_VERSION"
  check_sum "$(forgejo_mcp_archive)" "$(forgejo_mcp_sums)"
  mkdir "$TEMPORARY/forgejo-mcp"
  unpack_to "$TEMPORARY/$(forgejo_mcp_archive)" "$TEMPORARY/forgejo-mcp"
  FORGEJO_MCP=$(find "$TEMPORARY/forgejo-mcp" -type f -name forgejo-mcp | head -n 1)
  [ -n "$FORGEJO_MCP" ] || die $VERIFY "$(forgejo_mcp_archive) holds no forgejo-mcp"
}

# ---------------------------------------------------------------------------------------------
# The plan
# ---------------------------------------------------------------------------------------------

missing_packages() {
  packages=''
  manages_services || return 0
  has curl || packages="$packages curl"
  [ -e /etc/ssl/certs/ca-certificates.crt ] || packages="$packages ca-certificates"
  has bwrap || packages="$packages bubblewrap"
  [ -n "$NO_CADDY" ] || has caddy || packages="$packages caddy"
  printf '%s' "${packages# }"
}

show_plan() {
  say "The plan for this machine (${OS_NAME:-unknown system}, $ARCH, systemd $SYSTEMD):"
  [ -z "$PACKAGES" ] || say "  install from the distribution: $PACKAGES"
  if [ -n "${NEW_PROGRAM:-}" ]; then
    say "  fjmcp-broker $VERSION and forgejo-mcp $FORGEJO_MCP_NAME are installed already"
  else
    say "  fjmcp-broker $VERSION to /opt/fjmcp-broker/$VERSION, from ${OFFLINE:-$BASE_URL}"
    say "  forgejo-mcp $FORGEJO_MCP_NAME to /opt/fjmcp-broker/forgejo-mcp"
  fi
  say '  the system user fjmcp-broker; units fjmcp-broker.service and a daily backup'
  if [ -e "$CONFIG" ]; then
    say '  settings: /etc/fjmcp-broker/config.toml is there and stays as it is'
  else
    say '  settings in /etc/fjmcp-broker/config.toml, a new store key, data in /var/lib/fjmcp-broker'
  fi
  if [ -n "$FORGEJO_TOKEN" ] && [ ! -s "$CREDENTIALS/forgejo_client_secret" ]; then
    say "  an OAuth2 application \"forgejo-mcp-broker\" at $FORGEJO_URL, made with your token"
  fi
  show_caddy_plan
  [ -z "$NO_START" ] || say '  nothing is started'
  [ -z "$SANDBOX_NOTE" ] || say "  no sandbox for children: $SANDBOX_NOTE"
  say "  the address for Claude: $PUBLIC_URL/mcp"
}

show_caddy_plan() {
  if [ -n "$NO_CADDY" ]; then
    say '  no Caddy: your reverse proxy leads to unix:/run/fjmcp-broker/edge/http.sock'
    return 0
  fi
  case $(caddy_state) in
    none | debian) say "  Caddy serves $PUBLIC_URL and nothing else (TLS: $TLS)" ;;
    foreign)
      say "  Caddy is in use: one line \"import $CADDY_SITE\" at the end of its Caddyfile, and that"
      say "  file for $PUBLIC_URL (TLS: $TLS); Caddy is restarted once, to join the broker's group"
      ;;
    *) say "  Caddy serves $PUBLIC_URL (TLS: $TLS)" ;;
  esac
}

# ---------------------------------------------------------------------------------------------
# Changing things
# ---------------------------------------------------------------------------------------------

CHANGED=''

# place FILE DESTINATION MODE [GROUP]: whole or not at all, and only when it differs.
place() {
  if [ -f "$2" ] && cmp -s "$1" "$2" && [ "$(stat -c %a "$2")" = "$(printf '%s' "$3" | sed 's/^0//')" ]; then
    return 0
  fi
  mkdir -p "$(dirname "$2")"
  (umask 077 && cat "$1" >"$2.fjmcp-new")
  own "$2.fjmcp-new" "root:${4:-root}"
  chmod "$3" "$2.fjmcp-new"
  mv -f "$2.fjmcp-new" "$2"
  CHANGED="$CHANGED $2"
}

# directory PATH MODE [GROUP]
directory() {
  if [ ! -d "$1" ]; then
    mkdir -p "$1"
    own "$1" "root:${3:-root}"
    chmod "$2" "$1"
  fi
}

own() { if is_root && [ -z "$ROOT" ]; then chown "$2" "$1"; fi }

# A symbolic link is replaced by a rename: at no moment it is missing.
point() {
  if [ "$(readlink "$2" 2>/dev/null || :)" = "$1" ]; then return 0; fi
  rm -f "$2.fjmcp-new"
  ln -s "$1" "$2.fjmcp-new"
  mv -fT "$2.fjmcp-new" "$2"
  CHANGED="$CHANGED $2"
}

install_packages() {
  [ -n "$PACKAGES" ] || return 0
  step "Installing $PACKAGES"
  has apt-get || die $PACKAGE "there is no apt-get; install $PACKAGES yourself"
  package_log=$TEMPORARY/apt.log
  # shellcheck disable=SC2086 # several packages
  if ! apt_install -s $PACKAGES >"$package_log" 2>&1; then
    apt-get update </dev/null >"$package_log" 2>&1 || :
    apt_install -s $PACKAGES >"$package_log" 2>&1 || no_package
  fi
  # Also what comes along, so that --purge can take all of it away again.
  awk '$1 == "Inst" { print $2 }' "$package_log" >"$TEMPORARY/packages"
  # shellcheck disable=SC2086
  if ! apt_install $PACKAGES >"$package_log" 2>&1; then
    apt-get update </dev/null >"$package_log" 2>&1 || :
    # shellcheck disable=SC2086
    apt_install $PACKAGES >>"$package_log" 2>&1 || no_package
  fi
  directory "$ETC" 0755
  directory "$MEMORY" 0700
  cat "$TEMPORARY/packages" >>"$MEMORY/packages"
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get install -y --no-install-recommends \
    -o DPkg::Lock::Timeout=120 "$@" </dev/null
}

no_package() {
  tail -n 5 "$package_log" >&2
  die $PACKAGE "cannot install $PACKAGES (above: the last words of apt-get)"
}

# The program, in a directory of its version; the directory appears whole.
install_program() {
  PROGRAM=$OPT/$VERSION
  if [ -d "$PROGRAM" ]; then
    if diff -r "$NEW_PROGRAM" "$PROGRAM" >/dev/null 2>&1; then return 0; fi
    mv "$PROGRAM" "$PROGRAM.replaced.$$"
  fi
  directory "$OPT" 0755
  rm -rf "$OPT/.new"
  mkdir "$OPT/.new"
  cp -R "$NEW_PROGRAM/." "$OPT/.new/"
  if is_root && [ -z "$ROOT" ]; then chown -R root:root "$OPT/.new"; fi
  chmod -R u=rwX,go=rX "$OPT/.new"
  mv "$OPT/.new" "$PROGRAM"
  rm -rf "$PROGRAM.replaced.$$"
  CHANGED="$CHANGED $PROGRAM"
}

# Mode 0711: a process of a program that its user cannot read cannot be looked into either.
install_forgejo_mcp() {
  mcp_dir=$OPT/forgejo-mcp
  directory "$OPT" 0755
  directory "$mcp_dir" 0755
  directory "$mcp_dir/$FORGEJO_MCP_NAME" 0755
  [ -z "$FORGEJO_MCP" ] || place "$FORGEJO_MCP" "$mcp_dir/$FORGEJO_MCP_NAME/forgejo-mcp" 0711
  switch_link "$mcp_dir" "$FORGEJO_MCP_NAME"
}

# switch_link DIRECTORY NAME: `current` names it, and `previous` what `current` named before.
switch_link() {
  switch_from=$(readlink "$1/current" 2>/dev/null || :)
  if [ "$switch_from" = "$2" ]; then return 0; fi
  if [ -n "$switch_from" ]; then point "$switch_from" "$1/previous"; fi
  point "$2" "$1/current"
}

# prune DIRECTORY PROGRAM: what neither link names goes.
prune() {
  for prune_old in "$1"/*/"$2"; do
    [ -f "$prune_old" ] || continue
    prune_old=$(dirname "$prune_old")
    prune_name=${prune_old##*/}
    [ ! -L "$prune_old" ] || continue
    [ "$prune_name" != "$(readlink "$1/current" || :)" ] || continue
    [ "$prune_name" != "$(readlink "$1/previous" || :)" ] || continue
    rm -rf "$prune_old"
  done
}

install_links() {
  directory "$BIN" 0755
  for link in 'fjmcp-broker /opt/fjmcp-broker/current/fjmcp-broker' \
    'forgejo-mcp /opt/fjmcp-broker/forgejo-mcp/current/forgejo-mcp'; do
    link_name=$BIN/${link%% *}
    # Somebody else's program of that name stays.
    if [ ! -e "$link_name" ] && [ ! -L "$link_name" ] || is_our_link "$link_name"; then
      point "${link#* }" "$link_name"
    fi
  done
}

is_our_link() { case $(readlink "$1" 2>/dev/null || :) in /opt/fjmcp-broker/*) return 0 ;; esac; return 1; }

install_user() {
  place "$PROGRAM/systemd/sysusers.conf" "$ROOT/etc/sysusers.d/fjmcp-broker.conf" 0644
  place "$PROGRAM/systemd/tmpfiles.conf" "$ROOT/etc/tmpfiles.d/fjmcp-broker.conf" 0644
  manages_services || return 0
  if ! getent passwd fjmcp-broker >/dev/null 2>&1; then
    systemd-sysusers "$ROOT/etc/sysusers.d/fjmcp-broker.conf"
  fi
  if [ ! -d "$ROOT/run/fjmcp-broker/private" ] || [ ! -d "$ROOT/run/fjmcp-broker/edge" ]; then
    systemd-tmpfiles --create "$ROOT/etc/tmpfiles.d/fjmcp-broker.conf"
  fi
}

UNIT_FILES='fjmcp-broker.service fjmcp-broker-backup.service fjmcp-broker-backup.timer'

install_units() {
  for unit in $UNIT_FILES; do
    if [ -e "$PROGRAM/systemd/$unit" ]; then place "$PROGRAM/systemd/$unit" "$UNITS/$unit" 0644; fi
  done
  case $CHANGED in *"$UNITS/"*) if manages_services; then systemctl daemon-reload; fi ;; esac
}

# The profile matters only where AppArmor keeps user namespaces from everybody without one.
install_apparmor() {
  apparmor_dir=$ROOT/etc/apparmor.d
  [ -d "$apparmor_dir" ] && [ -d "$PROGRAM/apparmor" ] || return 0
  [ "$(cat "$ROOT/proc/sys/kernel/apparmor_restrict_unprivileged_userns" 2>/dev/null || echo 0)" = 1 ] || return 0
  for profile in "$PROGRAM/apparmor"/*; do
    [ -f "$profile" ] || continue
    place "$profile" "$apparmor_dir/${profile##*/}" 0644
    case $CHANGED in
      *"$apparmor_dir/${profile##*/}"*)
        apparmor_parser -r "$apparmor_dir/${profile##*/}" ||
          warn "AppArmor did not take the profile ${profile##*/}; children may run without their sandbox"
        ;;
    esac
  done
}

make_application() {
  [ ! -s "$CREDENTIALS/forgejo_client_secret" ] || return 0
  if [ -z "$CLIENT_SECRET" ]; then
    step "Making the OAuth2 application at $FORGEJO_URL"
    (umask 077
      printf 'Authorization: token %s\n' "$FORGEJO_TOKEN" >"$TEMPORARY/authorization"
      printf '{"name":"forgejo-mcp-broker","redirect_uris":["%s/oauth/callback"],"confidential_client":true}' \
        "$PUBLIC_URL" >"$TEMPORARY/application.json")
    application_url=${FORGEJO_INTERNAL_URL:-$FORGEJO_URL}/api/v1/user/applications/oauth2
    # The token goes by a file: an argument could be read by everybody on the machine.
    application_status=$(curl -sS --connect-timeout 15 --max-time 60 -o "$TEMPORARY/application" \
      -w '%{http_code}' -H "@$TEMPORARY/authorization" -H 'Content-Type: application/json' \
      --data-binary "@$TEMPORARY/application.json" "$application_url" 2>"$TEMPORARY/application.error") ||
      die $FORGE "Forgejo cannot be reached at ${application_url%/api/*}: $(head -n 1 "$TEMPORARY/application.error")"
    case $application_status in
      201 | 200) ;;
      401 | 403) die $FORGE "Forgejo refused the token ($application_status): it needs the permission write:user" ;;
      *) die $FORGE "Forgejo answered $application_status to the making of an OAuth2 application" ;;
    esac
    CLIENT_ID=$(json_field client_id)
    CLIENT_SECRET=$(json_field client_secret)
    rm -f "$TEMPORARY/authorization" "$TEMPORARY/application"
    if [ -z "$CLIENT_ID" ] || [ -z "$CLIENT_SECRET" ]; then
      die $FORGE 'Forgejo answered without client id or secret'
    fi
    case $CLIENT_ID in *[!A-Za-z0-9._-]*) die $FORGE 'Forgejo answered with an odd client id' ;; esac
    APPLICATION_MADE=1
  fi
  directory "$ETC" 0755
  directory "$CREDENTIALS" 0700
  printf '%s' "$CLIENT_SECRET" | write_secret "$CREDENTIALS/forgejo_client_secret"
  # Without its id the secret is worth nothing, and the configuration comes later.
  directory "$MEMORY" 0700
  printf '%s\n' "$CLIENT_ID" >"$MEMORY/client-id"
}

json_field() { tr -d '\n' <"$TEMPORARY/application" | sed -n "s/.*\"$1\"[[:space:]]*:[[:space:]]*\"\\([^\"]*\\)\".*/\\1/p"; }

# Owner and mode before the first byte.
write_secret() {
  rm -f "$1.fjmcp-new"
  (umask 077 && : >"$1.fjmcp-new")
  chmod 0600 "$1.fjmcp-new"
  own "$1.fjmcp-new" root:root
  cat >>"$1.fjmcp-new"
  mv -f "$1.fjmcp-new" "$1"
  CHANGED="$CHANGED $1"
}

make_store_key() {
  directory "$CREDENTIALS" 0700
  [ ! -s "$CREDENTIALS/store-key" ] || return 0
  dd if=/dev/urandom bs=32 count=1 2>/dev/null | write_secret "$CREDENTIALS/store-key"
}

config_text() {
  cat <<CONFIG_TEXT
# forgejo-mcp-broker. \`fjmcp-broker --help\` lists every setting.
# After a change: systemctl reload fjmcp-broker (it says which keys need a restart).

# The address that clients and browsers see.
public_url = "$PUBLIC_URL"

# Forgejo as people's browsers see it, and its OAuth2 application.
forgejo_url = "$FORGEJO_URL"
CONFIG_TEXT
  [ -z "$FORGEJO_INTERNAL_URL" ] || printf 'forgejo_internal_url = "%s"\n' "$FORGEJO_INTERNAL_URL"
  cat <<CONFIG_TEXT
forgejo_client_id = "$CLIENT_ID"

# Sockets for the web server, which is in the group fjmcp-broker.
listen = "unix:/run/fjmcp-broker/edge/http.sock"
metrics_listen = "unix:/run/fjmcp-broker/edge/metrics.sock"

# For the program's own commands.
control_socket = "/run/fjmcp-broker/private/control.sock"

store_path = "/var/lib/fjmcp-broker/store.db"

child_command = "/opt/fjmcp-broker/forgejo-mcp/current/forgejo-mcp --transport stdio --url {forgejo_url}"
CONFIG_TEXT
}

write_config() {
  if [ ! -e "$CONFIG" ]; then
    config_text >"$TEMPORARY/config.toml"
    place "$TEMPORARY/config.toml" "$CONFIG" 0640 fjmcp-broker
  elif answers_differ; then
    config_text >"$TEMPORARY/config.toml"
    cmp -s "$TEMPORARY/config.toml" "$CONFIG.new" ||
      place "$TEMPORARY/config.toml" "$CONFIG.new" 0640 fjmcp-broker
    warn "$CONFIG is kept. What the answers would make of it is in $CONFIG.new:"
    diff -u "$CONFIG" "$CONFIG.new" >&2 || :
  fi
}

# True when an answer of this run is not what the configuration says.
answers_differ() {
  { [ -n "$GIVEN_PUBLIC_URL" ] && [ "$PUBLIC_URL" != "$(config_value public_url)" ]; } ||
    { [ -n "$GIVEN_FORGEJO_URL" ] && [ "$FORGEJO_URL" != "$(config_value forgejo_url)" ]; } ||
    { [ -n "$GIVEN_INTERNAL" ] && [ "$FORGEJO_INTERNAL_URL" != "$(config_value forgejo_internal_url)" ]; } ||
    { [ -n "$GIVEN_CLIENT_ID" ] && [ "$CLIENT_ID" != "$(config_value forgejo_client_id)" ]; }
}

remember() {
  directory "$MEMORY" 0700
  remembered_answers >"$TEMPORARY/answers"
  place "$TEMPORARY/answers" "$MEMORY/answers" 0600
}

# ---------------------------------------------------------------------------------------------
# Caddy
# ---------------------------------------------------------------------------------------------

caddy_site() {
  case $TLS in
    internal) site_tls='tls internal' ;;
    acme) if [ -n "$ACME_EMAIL" ]; then site_tls="tls $ACME_EMAIL"; else site_tls='# TLS: automatic.'; fi ;;
    *)
      site_ca=$TLS
      [ "$TLS" != staging ] || site_ca=$ACME_STAGING
      site_tls="tls $ACME_EMAIL {\n\t\tca $site_ca\n\t}"
      ;;
  esac
  sed -e "s|@HOST@|$PUBLIC_HOST|g" -e "s|@ORIGIN@|$PUBLIC_URL|g" -e "s|@TLS@|$site_tls|" "$1/caddy/fjmcp-broker.caddy"
}

# Caddy would take a second site of the same name, and lead to the first of them.
check_name() {
  [ -z "$NO_CADDY" ] && has caddy && [ "$(caddy_state)" = foreign ] || return 0
  if as_caddy caddy adapt --adapter caddyfile --config "$CADDY_FILE" 2>/dev/null |
    grep -q "\"host\":\[[^]]*\"$(printf '%s' "$PUBLIC_HOST" | sed 's/[.]/[.]/g')\""; then
    die $CADDY "Caddy's Caddyfile serves $PUBLIC_HOST already." \
      'Give the broker a name of its own, or use --no-caddy'
  fi
}

# Tries the whole configuration beside the one in use, as the user that Caddy runs as: as root it
# would make log files that Caddy could not write to later.
check_caddy() {
  [ -z "$NO_CADDY" ] && has caddy && [ "$(caddy_state)" = foreign ] || return 0
  caddy_try=$CADDY_DIR/.fjmcp-broker-try
  caddy_site "$NEW_PROGRAM" >"$caddy_try.caddy"
  { cat "$CADDY_FILE" && printf '\nimport %s\n' "$caddy_try.caddy"; } >"$caddy_try"
  chmod 0644 "$caddy_try" "$caddy_try.caddy"
  caddy_fault=$(as_caddy caddy validate --adapter caddyfile --config "$caddy_try" 2>&1) && caddy_fault=''
  rm -f "$caddy_try" "$caddy_try.caddy"
  [ -z "$caddy_fault" ] || die $CADDY "Caddy would not take its Caddyfile with the site of $PUBLIC_URL:" \
    "$(printf '%s\n' "$caddy_fault" | tail -n 1). Give the broker a name of its own, or use --no-caddy"
}

as_caddy() {
  if is_root && [ -z "$ROOT" ] && getent passwd caddy >/dev/null 2>&1 && has runuser; then
    runuser -u caddy -- env HOME=/var/lib/caddy "$@"
  else
    "$@"
  fi
}

install_caddy() {
  [ -z "$NO_CADDY" ] || return 0
  CADDY_WAS=$(caddy_state)
  caddy_action=''
  caddy_site "$PROGRAM" >"$TEMPORARY/site"
  if is_edited "$CADDY_SITE" site; then
    if ! cmp -s "$TEMPORARY/site" "$CADDY_SITE"; then
      place "$TEMPORARY/site" "$CADDY_SITE.new" 0644
      warn "$CADDY_SITE has been edited and is kept; the new one is beside it:"
      diff -u "$CADDY_SITE" "$CADDY_SITE.new" >&2 || :
    fi
  elif [ ! -e "$CADDY_SITE" ] || ! cmp -s "$TEMPORARY/site" "$CADDY_SITE"; then
    [ ! -e "$CADDY_SITE" ] || cp -p "$CADDY_SITE" "$TEMPORARY/site.before"
    place "$TEMPORARY/site" "$CADDY_SITE" 0644
    fingerprint "$CADDY_SITE" site
    caddy_action=reload
  fi
  case $CADDY_WAS in
    none | debian)
      own_caddy
      caddy_action=restart
      ;;
    foreign)
      extend_caddy
      caddy_action=restart
      ;;
  esac
  if needs_group; then
    usermod -aG fjmcp-broker caddy
    caddy_action=restart
  fi
  manages_services || return 0
  apply_caddy
  trust_internal_ca
}

fingerprint() {
  directory "$MEMORY" 0700
  sha256_of "$1" >"$MEMORY/$2.sha256"
}

is_edited() { [ -e "$1" ] && [ -e "$MEMORY/$2.sha256" ] && [ "$(sha256_of "$1")" != "$(cat "$MEMORY/$2.sha256")" ]; }

own_caddy() {
  directory "$MEMORY" 0700
  if [ -e "$CADDY_FILE" ]; then cp -p "$CADDY_FILE" "$MEMORY/Caddyfile.before"; fi
  place "$PROGRAM/caddy/Caddyfile" "$CADDY_FILE" 0644
  fingerprint "$CADDY_FILE" Caddyfile
  place "$PROGRAM/caddy/caddy-runtime.conf" "$CADDY_DROPIN" 0644
  if manages_services; then systemctl daemon-reload; fi
}

extend_caddy() {
  directory "$MEMORY" 0700
  cp -p "$CADDY_FILE" "$MEMORY/Caddyfile.before"
  { cat "$CADDY_FILE" && printf '\nimport %s\n' "${CADDY_SITE#"$ROOT"}"; } >"$TEMPORARY/Caddyfile"
  place "$TEMPORARY/Caddyfile" "$CADDY_FILE" "0$(stat -c %a "$CADDY_FILE")"
}

# The web server may enter the folder with the sockets for it.
needs_group() {
  manages_services && getent passwd caddy >/dev/null 2>&1 || return 1
  case " $(id -nG caddy) " in *' fjmcp-broker '*) return 1 ;; esac
}

apply_caddy() {
  [ -n "$caddy_action" ] && [ -z "$NO_START" ] || return 0
  step "Caddy: $caddy_action"
  [ "$(systemctl is-enabled caddy.service 2>/dev/null || :)" = enabled ] || systemctl -q enable caddy.service
  unit_active caddy.service || caddy_action=restart
  if ! systemctl "$caddy_action" caddy.service; then
    restore_caddy
    die $CADDY 'Caddy did not take its new configuration; the old one is back (journalctl -u caddy)'
  fi
}

restore_caddy() {
  case $CADDY_WAS in
    foreign | debian) [ ! -e "$MEMORY/Caddyfile.before" ] || mv -f "$MEMORY/Caddyfile.before" "$CADDY_FILE" ;;
    none) rm -f "$CADDY_FILE" ;;
  esac
  if [ -e "$TEMPORARY/site.before" ]; then
    mv -f "$TEMPORARY/site.before" "$CADDY_SITE"
    fingerprint "$CADDY_SITE" site
  fi
  case $CADDY_WAS in
    none | debian | foreign)
      rm -f "$CADDY_SITE" "$CADDY_DROPIN" "$MEMORY/Caddyfile.sha256" "$MEMORY/site.sha256"
      systemctl daemon-reload
      ;;
  esac
  systemctl restart caddy.service || :
}

# With Caddy's own certificate authority this machine trusts it, so that doctor can look from here.
trust_internal_ca() {
  [ "$TLS" = internal ] && [ -z "$ROOT" ] && [ -z "$NO_START" ] || return 0
  ca_root=/var/lib/caddy/.local/share/caddy/pki/authorities/local/root.crt
  ca_tries=0
  while [ ! -s "$ca_root" ] && [ $ca_tries -lt 20 ]; do
    sleep 1
    ca_tries=$((ca_tries + 1))
  done
  if [ ! -s "$ca_root" ]; then
    warn "Caddy made no root certificate at $ca_root"
  elif ! cmp -s "$ca_root" "$CA_COPY"; then
    place "$ca_root" "$CA_COPY" 0644
    update-ca-certificates >/dev/null 2>&1 || warn 'update-ca-certificates failed'
  fi
}

# ---------------------------------------------------------------------------------------------
# Health
# ---------------------------------------------------------------------------------------------

# ask_broker PATH: the broker's own answer, past the web server; its status on the last line.
ask_broker() {
  listen=$(config_value listen)
  listen_host=$(config_value public_url)
  listen_host=${listen_host#*://}
  case $listen in
    unix:*) set -- "http://localhost$1" --unix-socket "$ROOT${listen#unix:}" ;;
    *) set -- "http://${listen:-127.0.0.1:8080}$1" ;;
  esac
  curl -sS --noproxy '*' --max-time 5 -w '\n%{http_code}\n' -H "Host: $listen_host" \
    -H 'X-Forwarded-For: 127.0.0.1' "$@" 2>/dev/null || :
}

is_ready() { [ "$(ask_broker /readyz | tail -n 1)" = 200 ]; }
main_pid() { systemctl show -p MainPID --value fjmcp-broker.service 2>/dev/null || :; }

# answers VERSION: the unit runs, and what answers is that version.
answers() {
  if ! unit_active fjmcp-broker.service; then
    HEALTH_SAYS="the unit is $(systemctl is-active fjmcp-broker.service 2>/dev/null || :)"
    return 1
  fi
  case $(ask_broker /healthz) in
    *"\"version\":\"$1\""*) ;;
    *'"version"'*)
      HEALTH_SAYS='another version answers'
      return 1
      ;;
    *)
      HEALTH_SAYS='the unit is active and does not answer'
      return 1
      ;;
  esac
  [ -z "${MUST_BE_READY:-}" ] || is_ready || {
    HEALTH_SAYS='it answers and is not ready, which the version before was'
    return 1
  }
}

# healthy VERSION: waits until it answers, and sees that it still does a while later.
healthy() {
  health_tries=0
  until answers "$1"; do
    health_tries=$((health_tries + 1))
    [ $health_tries -lt "${FJMCP_INSTALL_HEALTH_SECONDS:-60}" ] || return 1
    # A unit that gave up will not get better.
    [ "$(systemctl is-failed fjmcp-broker.service 2>/dev/null || :)" != failed ] || return 1
    sleep 1
  done
  health_pid=$(main_pid)
  sleep "${FJMCP_INSTALL_SETTLE_SECONDS:-3}"
  answers "$1" || return 1
  [ "$(main_pid)" = "$health_pid" ] || {
    HEALTH_SAYS='it starts again and again'
    return 1
  }
}

start_units() {
  manages_services || return 0
  [ -z "$NO_START" ] || return 0
  for unit in fjmcp-broker.service fjmcp-broker-backup.timer; do
    [ -e "$UNITS/$unit" ] || continue
    [ "$(systemctl is-enabled "$unit" 2>/dev/null || :)" = enabled ] || systemctl -q enable "$unit"
  done
  if [ -e "$UNITS/fjmcp-broker-backup.timer" ]; then
    unit_active fjmcp-broker-backup.timer || systemctl start fjmcp-broker-backup.timer
  fi
  if unit_active fjmcp-broker.service && answers "$VERSION"; then return 0; fi
  step 'Starting fjmcp-broker'
  systemctl start fjmcp-broker.service || :
  healthy "$VERSION" || {
    journalctl _SYSTEMD_UNIT=fjmcp-broker.service -n 5 --no-pager -o cat >&2 2>/dev/null || :
    die $HEALTH "fjmcp-broker is installed and not healthy: $HEALTH_SAYS." \
      'See journalctl -u fjmcp-broker; run this again when the reason is gone'
  }
  # The first backup shows now, and not at night, that there can be one.
  if [ -e "$STATE/store.db" ] && [ ! -d "$STATE/backups" ]; then
    systemctl start fjmcp-broker-backup.service ||
      warn 'the store could not be backed up (journalctl -u fjmcp-broker-backup)'
  fi
}

run_doctor() {
  is_installed || die $ABSENT 'fjmcp-broker is not installed'
  # As the unit has it: what was answered here must not stand in for what is configured.
  env -i PATH="$PATH" HOME="${HOME:-/root}" CREDENTIALS_DIRECTORY="$CREDENTIALS" \
    NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt \
    "$OPT/current/fjmcp-broker" doctor --config "$CONFIG"
}

last_words() {
  if [ -n "${APPLICATION_MADE:-}" ]; then
    say 'The OAuth2 application is made. The token is not needed any more: delete it in Forgejo.'
  fi
  if [ -n "$NO_START" ] || ! manages_services; then
    say "Installed. Nothing was started; later: systemctl enable --now fjmcp-broker"
    return 0
  fi
  run_doctor || warn 'doctor has findings (above); fjmcp-broker doctor asks again'
  say ''
  say 'The address to give to Claude (Settings, Connectors, Add custom connector):'
  say ''
  say "  $PUBLIC_URL/mcp"
  say ''
}

# ---------------------------------------------------------------------------------------------
# What can be asked for
# ---------------------------------------------------------------------------------------------

do_install() {
  look_at_rights
  look_at_machine
  look_at_room
  look_at_namespaces
  look_at_forgejo
  gather_answers
  look_at_ports
  check_name
  look_at_dns
  look_at_forgejo_address
  make_temporary
  take_lock
  open_offline
  name_forgejo_mcp
  if is_installed && is_intact "$(installed_version)" && ! is_other_version; then
    VERSION=$(installed_version)
    NEW_PROGRAM=$OPT/$VERSION
    FORGEJO_MCP_NAME=$(installed_forgejo_mcp)
  else
    resolve_release
    ! is_installed || [ "$(installed_version)" = "$VERSION" ] ||
      die $USAGE "fjmcp-broker $(installed_version) is installed; --upgrade goes to $VERSION"
  fi
  PACKAGES=$(missing_packages)
  show_plan
  [ -z "$DRY_RUN" ] || { say 'Nothing has been changed (--dry-run).'; return 0; }
  confirm 'Go on?'
  [ -n "${NEW_PROGRAM:-}" ] || fetch_broker
  fetch_forgejo_mcp
  check_caddy
  install_packages
  make_application
  install_program
  install_forgejo_mcp
  install_user
  make_store_key
  write_config
  install_units
  install_apparmor
  switch_link "$OPT" "$VERSION"
  install_links
  remember
  install_caddy
  start_units
  [ -n "$CHANGED" ] || say 'Everything is in place already; nothing has been changed.'
  case $RELEASE_VERSION in
    '' | "$VERSION") ;;
    *) say "This installer belongs to $RELEASE_VERSION: --upgrade goes there." ;;
  esac
  last_words
}

# Flags of this run win; without any, what is installed is what is wanted.
is_other_version() {
  [ -n "$WANTED_VERSION" ] && [ "$WANTED_VERSION" != "$(installed_version)" ]
}

installed_forgejo_mcp() {
  if [ -n "$FORGEJO_MCP" ]; then printf '%s' "$FORGEJO_MCP_NAME"; else basename "$(readlink "$OPT/forgejo-mcp/current")"; fi
}

is_intact() {
  [ -e "$OPT/forgejo-mcp/current/forgejo-mcp" ] || return 1
  [ -e "$OPT/$1/SHA256SUMS" ] || return 1
  (cd "$OPT/$1" && sha256sum -c SHA256SUMS >/dev/null 2>&1)
}

# What an upgrade and a way back share: the old one serves until the new one has taken over.
do_upgrade() {
  look_at_rights
  is_installed || die $ABSENT 'fjmcp-broker is not installed: run this without --upgrade'
  look_at_machine
  look_at_room
  read_installed
  make_temporary
  take_lock
  open_offline
  resolve_release
  if [ -z "$FORGEJO_MCP" ] && is_local_forgejo_mcp; then
    FORGEJO_MCP_NAME=$(basename "$(readlink "$OPT/forgejo-mcp/current")")
  else
    name_forgejo_mcp
  fi
  if [ "$VERSION" = "$FROM" ] && is_intact "$FROM" &&
    [ "$FORGEJO_MCP_NAME" = "$(readlink "$OPT/forgejo-mcp/current")" ]; then
    say "fjmcp-broker $VERSION is what ${OFFLINE:-$BASE_URL} offers; nothing has been changed."
    return 0
  fi
  PACKAGES=$(missing_packages)
  say "The plan: fjmcp-broker $FROM to $VERSION, forgejo-mcp $FORGEJO_MCP_NAME; $(handover_words)"
  [ -z "$PACKAGES" ] || say "  install from the distribution: $PACKAGES"
  [ -z "$DRY_RUN" ] || { say 'Nothing has been changed (--dry-run).'; return 0; }
  confirm 'Go on?'
  fetch_broker
  fetch_forgejo_mcp
  install_packages
  copy_store
  install_program
  install_apparmor
  switch_program
  install_links
  remember
  install_caddy
  prune "$OPT" fjmcp-broker
  prune "$OPT/forgejo-mcp" forgejo-mcp
  case $CHANGED in
    *"$UNITS/fjmcp-broker.service"*) say 'The unit has changed too; what it demands of the process holds from the next restart on.' ;;
  esac
  say "fjmcp-broker $VERSION serves. --rollback goes back to $FROM."
}

do_rollback() {
  look_at_rights
  is_installed || die $ABSENT 'fjmcp-broker is not installed'
  [ -x "$OPT/previous/fjmcp-broker" ] || die $ABSENT 'there is no version to go back to'
  look_at_machine
  read_installed
  make_temporary
  take_lock
  VERSION=$(readlink "$OPT/previous")
  PROGRAM=$OPT/$VERSION
  FORGEJO_MCP_NAME=$(readlink "$OPT/forgejo-mcp/current")
  say "The plan: fjmcp-broker $FROM back to $VERSION; the store stays as it is; $(handover_words)"
  [ -z "$DRY_RUN" ] || { say 'Nothing has been changed (--dry-run).'; return 0; }
  confirm 'Go on?'
  FORGEJO_MCP=''
  switch_program
  install_links
  say "fjmcp-broker $VERSION serves again. --rollback goes to $FROM."
}

read_installed() {
  FROM=$(installed_version)
  FROM_MCP=$(readlink "$OPT/forgejo-mcp/current" || :)
  FROM_PREVIOUS=$(readlink "$OPT/previous" 2>/dev/null || :)
  PUBLIC_URL=${PUBLIC_URL:-$(config_value public_url)}
  name_public_host
}

is_local_forgejo_mcp() { case $(readlink "$OPT/forgejo-mcp/current") in local-*) return 0 ;; esac; return 1; }

handover_words() {
  if [ -n "$NO_START" ] || ! manages_services; then
    printf 'nothing is started'
  elif [ -n "$RESTART" ]; then
    printf 'with a restart, calls of a moment are refused'
  else
    printf 'the running broker hands over, no call is lost'
  fi
}

# For a damaged store only: a way back keeps the live one, old copies hold tokens that were used.
copy_store() {
  [ -e "$STATE/store.db" ] && manages_services || return 0
  step 'Copying the store'
  systemctl start fjmcp-broker-backup.service ||
    die 1 'the store could not be copied, so nothing has been changed (journalctl -u fjmcp-broker-backup)'
}

switch_program() {
  MUST_BE_READY=''
  if unit_active fjmcp-broker.service && is_ready; then MUST_BE_READY=1; fi
  UNDO=switch_back
  install_units
  install_forgejo_mcp
  switch_link "$OPT" "$VERSION"
  if manages_services && [ -z "$NO_START" ]; then
    step "Going from $FROM to $VERSION"
    if ! hand_over || ! healthy "$VERSION"; then
      die $HEALTH "fjmcp-broker $VERSION is not healthy: ${HEALTH_SAYS:-the hand-over failed}." \
        "See journalctl -u fjmcp-broker"
    fi
  fi
  UNDO=''
}

hand_over() {
  HEALTH_SAYS=''
  if ! unit_active fjmcp-broker.service; then
    systemctl reset-failed fjmcp-broker.service 2>/dev/null || :
    systemctl start fjmcp-broker.service
  elif [ -n "$RESTART" ]; then
    systemctl restart fjmcp-broker.service
  else
    systemctl reload fjmcp-broker.service
  fi
}

# Runs on the way out when the new program has not become healthy, or somebody pressed Ctrl-C.
switch_back() {
  step "Going back to $FROM"
  PROGRAM=$OPT/$FROM
  HEALTH_SAYS=''
  MUST_BE_READY=''
  point "$FROM" "$OPT/current"
  [ -z "$FROM_MCP" ] || point "$FROM_MCP" "$OPT/forgejo-mcp/current"
  if [ -n "$FROM_PREVIOUS" ]; then point "$FROM_PREVIOUS" "$OPT/previous"; else rm -f "$OPT/previous"; fi
  CHANGED=''
  install_units
  if ! manages_services || [ -n "$NO_START" ]; then return 0; fi
  if ! answers "$FROM"; then
    # One that serves can hand over; one that does not is replaced.
    if ! { unit_active fjmcp-broker.service && systemctl reload fjmcp-broker.service && answers "$FROM"; }; then
      systemctl reset-failed fjmcp-broker.service 2>/dev/null || :
      systemctl restart fjmcp-broker.service || :
    fi
  fi
  if healthy "$FROM"; then
    printf 'install.sh: %s serves, as before\n' "$FROM" >&2
  else
    printf 'install.sh: %s is not healthy either: %s\n' "$FROM" "$HEALTH_SAYS" >&2
  fi
}

do_fetch() {
  look_at_machine
  make_temporary
  open_offline
  name_forgejo_mcp
  resolve_release
  [ -z "$DRY_RUN" ] || { say "$ARCHIVE and $(forgejo_mcp_archive) to $FETCH_DIR"; return 0; }
  fetch_broker
  fetch_forgejo_mcp
  if grep -q ' [*]\{0,1\}install\.sh$' "$TEMPORARY/SHA256SUMS"; then
    obtain "$BASE_URL" install.sh "$VERSION"
    check_sum install.sh SHA256SUMS
  fi
  mkdir -p "$FETCH_DIR"
  for fetched in SHA256SUMS SHA256SUMS.minisig "$ARCHIVE" "$(forgejo_mcp_sums)" "$(forgejo_mcp_archive)" install.sh; do
    [ ! -e "$TEMPORARY/$fetched" ] || cp "$TEMPORARY/$fetched" "$FETCH_DIR/$fetched"
  done
  say "Carry $FETCH_DIR to the other machine, and there: sh install.sh --offline $(basename "$FETCH_DIR")"
}

# ---------------------------------------------------------------------------------------------
# Taking it away
# ---------------------------------------------------------------------------------------------

do_uninstall() {
  look_at_rights
  if ! is_installed && [ ! -e "$ETC" ] && [ ! -e "$STATE" ] && [ ! -e "$OPT" ]; then
    die $ABSENT 'fjmcp-broker is not installed'
  fi
  make_temporary
  take_lock
  say 'The plan: stop fjmcp-broker, take its units, its programs and its Caddy site away'
  if [ -n "$PURGE" ]; then
    say '  and ALL ITS DATA: settings, keys, grants, backups, the user fjmcp-broker'
    [ ! -s "$MEMORY/packages" ] || say "  and the packages that came with it: $(tr '\n' ' ' <"$MEMORY/packages")"
  else
    say '  settings and keys stay in /etc/fjmcp-broker, data in /var/lib/fjmcp-broker'
  fi
  [ -z "$DRY_RUN" ] || { say 'Nothing has been changed (--dry-run).'; return 0; }
  confirm 'Go on?'
  remove_units
  remove_caddy
  remove_files
  [ -z "$PURGE" ] || remove_data
  say 'fjmcp-broker is gone.'
  [ -n "$PURGE" ] || say 'Its settings, keys and data are there still; --uninstall --purge takes them away.'
}

remove_units() {
  for unit in fjmcp-broker-backup.timer fjmcp-broker-backup.service fjmcp-broker.service; do
    [ -e "$UNITS/$unit" ] || continue
    if manages_services; then
      systemctl stop "$unit" || :
      systemctl -q disable "$unit" 2>/dev/null || :
    fi
    rm -f "$UNITS/$unit"
  done
  if manages_services; then
    systemctl daemon-reload
    systemctl reset-failed 'fjmcp-broker*' 2>/dev/null || :
  fi
}

remove_caddy() {
  [ -e "$CADDY_SITE" ] || [ -e "$CADDY_DROPIN" ] || return 0
  case $(caddy_state) in
    ours)
      if [ -e "$MEMORY/Caddyfile.before" ]; then
        cp -p "$MEMORY/Caddyfile.before" "$CADDY_FILE"
      else
        rm -f "$CADDY_FILE"
      fi
      ;;
    imports) remove_import ;;
  esac
  rm -f "$CADDY_SITE" "$CADDY_SITE.new" "$CADDY_DROPIN"
  rmdir "$(dirname "$CADDY_DROPIN")" 2>/dev/null || :
  rm -f "$MEMORY/Caddyfile.before" "$MEMORY/Caddyfile.sha256" "$MEMORY/site.sha256"
  if manages_services; then
    systemctl daemon-reload
    if is_root && [ -z "$ROOT" ]; then gpasswd -d caddy fjmcp-broker >/dev/null 2>&1 || :; fi
    if unit_active caddy.service; then systemctl restart caddy.service || warn 'Caddy does not start again'; fi
  fi
  if [ -e "$CA_COPY" ]; then
    rm -f "$CA_COPY"
    [ -n "$ROOT" ] || update-ca-certificates --fresh >/dev/null 2>&1 || :
  fi
}

# The bytes from before, where nobody has changed more since.
remove_import() {
  if [ -e "$MEMORY/Caddyfile.before" ]; then
    { cat "$MEMORY/Caddyfile.before" && printf '\nimport %s\n' "${CADDY_SITE#"$ROOT"}"; } >"$TEMPORARY/Caddyfile"
    if cmp -s "$TEMPORARY/Caddyfile" "$CADDY_FILE"; then
      cp -p "$MEMORY/Caddyfile.before" "$CADDY_FILE"
      return 0
    fi
  fi
  grep -v '^[[:space:]]*import[[:space:]].*fjmcp-broker\.caddy' "$CADDY_FILE" >"$TEMPORARY/Caddyfile" || :
  cat "$TEMPORARY/Caddyfile" >"$CADDY_FILE"
}

remove_files() {
  for link_name in "$BIN/fjmcp-broker" "$BIN/forgejo-mcp"; do
    if is_our_link "$link_name"; then rm -f "$link_name"; fi
  done
  if [ -d "$OPT/current/apparmor" ]; then
    for profile in "$OPT/current/apparmor"/*; do
      profile=$ROOT/etc/apparmor.d/${profile##*/}
      [ -e "$profile" ] || continue
      [ -n "$ROOT" ] || apparmor_parser -R "$profile" 2>/dev/null || :
      rm -f "$profile"
    done
  fi
  rm -f "$ROOT/etc/sysusers.d/fjmcp-broker.conf" "$ROOT/etc/tmpfiles.d/fjmcp-broker.conf"
  rmdir "$ROOT/etc/sysusers.d" 2>/dev/null || :
  rm -rf "$ROOT/run/fjmcp-broker" "$OPT"
}

remove_data() {
  if [ -s "$MEMORY/packages" ]; then cp "$MEMORY/packages" "$TEMPORARY/packages"; fi
  rm -rf "$ETC" "$STATE" "$ROOT/var/lib/systemd/timers/stamp-fjmcp-broker-backup.timer"
  [ -z "$ROOT" ] || return 0
  if getent passwd fjmcp-broker >/dev/null 2>&1; then userdel fjmcp-broker >/dev/null 2>&1 || :; fi
  if getent group fjmcp-broker >/dev/null 2>&1; then groupdel fjmcp-broker >/dev/null 2>&1 || :; fi
  [ -s "$TEMPORARY/packages" ] || return 0
  # dpkg refuses to take away what something else needs; apt-get would take that away too.
  # shellcheck disable=SC2046 # one word a package
  dpkg --purge $(cat "$TEMPORARY/packages") >"$TEMPORARY/dpkg.log" 2>&1 ||
    warn "some packages stay, something else needs them: $(grep -o 'removal of [^ ]*' "$TEMPORARY/dpkg.log" | tr '\n' ' ')"
  if grep -qx caddy "$TEMPORARY/packages" && ! has caddy; then
    if getent passwd caddy >/dev/null 2>&1; then userdel caddy >/dev/null 2>&1 || :; fi
  fi
}

main() {
  umask 022
  PATH=$PATH:/usr/sbin:/sbin
  export LC_ALL=C
  read_environment
  read_flags "$@"
  if [ "$MODE" = help ]; then
    help
    return 0
  fi
  read_answers
  set_paths
  recall
  set_defaults
  check_flags
  trap cleanup EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  case $MODE in
    install) do_install ;;
    upgrade) do_upgrade ;;
    rollback) do_rollback ;;
    uninstall) do_uninstall ;;
    fetch) do_fetch ;;
    doctor) run_doctor ;;
  esac
}

{ main "$@"; }
