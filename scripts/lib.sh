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
  for dir in "${QUESTWATCH_TEST_PG_BIN:-}" $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV); do
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
  [ -n "$(postgres_bin || true)" ] || die "Postgres was installed, but initdb is not to be found; name its folder in QUESTWATCH_TEST_PG_BIN"
}

# tool NAME PACKAGE VERSION installs a tool once per version into .tools.
tool() {
  local dir=$tools/$1-$3
  [ -x "$dir/$1" ] || GOBIN=$dir go install "$2@$3" || die "could not install $1 $3"
  echo "$dir/$1"
}
