#!/usr/bin/env bash
# Makes a clone ready to work: system packages, uv, the two Python environments, the JVM's jars.
# Every part carries a stamp (a hash of what it is made from), so that a second run does nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly UV_VERSION=0.13.9
readonly GROUPS_OF_VENV=(spark flink models features scorer infra dev)
readonly MAVEN=(mvn -B -ntp -q -Dstyle.color=never -Daether.connector.http.retryHandler.count=5)
export UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-300}

say() { printf 'setup: %s\n' "$*"; }

fail() {
  printf 'setup: %s\n' "$@" >&2
  exit 1
}

java_major() {
  local java="${JAVA_HOME:-/nowhere}/bin/java"
  [ -x "$java" ] || java=java
  "$java" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1
}

# The Python that makes uv's environment; uv itself fetches a 3.11 where there is none.
any_python() { command -v python3.11 || command -v python3; }
venv_package() { if command -v python3.11 >/dev/null; then echo python3.11-venv; else echo python3-venv; fi; }

# Prints the Debian packages that this machine lacks.
missing_packages() {
  local major
  major=$(java_major || true)
  [ "${major:-0}" -ge 17 ] || echo openjdk-17-jdk-headless
  [ -x "${JAVA_HOME:-/nowhere}/bin/javac" ] || command -v javac >/dev/null || echo openjdk-17-jdk-headless
  command -v mvn >/dev/null || echo maven
  command -v redis-server >/dev/null || echo redis-server
  command -v chromium >/dev/null || echo chromium
  # LightGBM's wheel takes OpenMP from the system.
  [[ "$(/sbin/ldconfig -p)" == *libgomp.so.1* ]] || echo libgomp1
  # Debian's python3 alone has no ensurepip, without which `venv` makes an environment that lacks pip.
  [ -x .uv/bin/uv ] || "$(any_python)" -c 'import ensurepip, venv' 2>/dev/null || venv_package
}

# Only `redis-server` the program is wanted: RUNLEVEL=1 keeps the package from starting a service of its own.
install_packages() {
  local packages=("$@") become=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null && sudo -n true 2>/dev/null && become=(sudo -n)
    [ "${#become[@]}" -gt 0 ] || fail "please install: ${packages[*]}" \
      "on Debian or Ubuntu: sudo apt-get install --no-install-recommends ${packages[*]}"
  fi
  command -v apt-get >/dev/null || fail "please install with this system's package manager: ${packages[*]}"
  say "installing ${packages[*]}"
  "${become[@]}" apt-get update -qq
  "${become[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get -o DPkg::Lock::Timeout=120 install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
  if [[ " ${packages[*]} " == *" redis-server "* ]] && [ -d /run/systemd/system ]; then
    "${become[@]}" systemctl disable --now redis-server >/dev/null 2>&1 || true
  fi
}

# hash_of FILE...: one hash of names and contents.
hash_of() { sha256sum "$@" | sha256sum | cut -d ' ' -f 1; }

# up_to_date STAMP HASH
up_to_date() { [ "$(cat "$1" 2>/dev/null)" = "$2" ]; }

make_uv() {
  up_to_date .uv/.braid "$UV_VERSION" && return
  say "uv $UV_VERSION"
  "$(any_python)" -m venv .uv
  .uv/bin/python -m pip install --quiet "uv==$UV_VERSION"
  echo "$UV_VERSION" >.uv/.braid
}

# make_venv FOLDER GROUP...
make_venv() {
  local folder=$1 groups=() hash
  shift
  hash=$(hash_of uv.lock pyproject.toml)-$*
  up_to_date "$folder/.braid" "$hash" && return
  say "$folder: $*"
  for group in "$@"; do groups+=(--group "$group"); done
  UV_PROJECT_ENVIRONMENT="$folder" .uv/bin/uv sync --frozen --quiet "${groups[@]}"
  echo "$hash" >"$folder/.braid"
}

# Writes .venv/bin/braid: the commands for people, from any folder (-P: that folder's own modules are none of ours).
make_braid() {
  local fresh=.venv/bin/.braid.$$
  printf '#!/bin/sh\n# Written by infra/setup/setup.sh.\nexport PYTHONPATH="%s${PYTHONPATH:+:$PYTHONPATH}"\nexec "%s" -P -m infra.cli "$@"\n' \
    "$PWD" "$PWD/.venv/bin/python" >"$fresh"
  chmod +x "$fresh"
  mv "$fresh" .venv/bin/braid
}

make_jars() {
  local sources hash
  mapfile -t sources < <(find infra/jars \( -name pom.xml -o -name '*.java' \) -not -path '*/target/*' | LC_ALL=C sort)
  hash=$(hash_of "${sources[@]}")
  up_to_date jars/.braid "$hash" && return
  say "jars: Spark's, Flink's, Kafka's; the schema of Flink's operator"
  rm -rf jars.new jars.old infra/jars/*/target
  # Built beside and swapped, so that a failed or interrupted build leaves what was there.
  (cd infra/jars && "${MAVEN[@]}" -Dbraid.jars="$OLDPWD/jars.new" package)
  echo "$hash" >jars.new/.braid
  [ ! -d jars ] || mv jars jars.old
  mv jars.new jars
  rm -rf jars.old
}

main() {
  local packages
  # Two runs at once take turns; the lock is this file's own.
  exec 9<infra/setup/setup.sh
  flock 9
  mapfile -t packages < <(missing_packages | sort -u)
  [ "${#packages[@]}" -eq 0 ] || install_packages "${packages[@]}"
  [ -z "$(missing_packages)" ] || fail "still missing: $(missing_packages | tr '\n' ' ')"
  make_uv
  make_venv .venv "${GROUPS_OF_VENV[@]}"
  make_braid
  make_venv .venv-airflow airflow
  make_jars
  say "ready"
}

main "$@"
