#!/usr/bin/env bash
# Fuzzes the emulator from its own OpenAPI description: no 5xx, no panic, no answer that is not described, nothing accepted that
# the description rules out.
#
#   fuzz.sh [SECONDS [SEED]]     how long (300), and a seed to repeat a run (any)
#
# VERSYNC_BIN is the binary to fuzz (../../target/debug/versync). Needs Python with venv and pip; everything it installs and
# writes lies in a temporary directory. Exit codes: 0 nothing found, 1 something found, 2 the tools cannot be had.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

seconds=${1:-300}
seed=${2:-$RANDOM}
binary=$(realpath "${VERSYNC_BIN:-../../target/debug/versync}")
here=$PWD
work=$(mktemp -d)
emulator=
clean() {
  if [[ -n $emulator ]]; then
    kill "$emulator" 2>/dev/null || true
    wait "$emulator" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap clean EXIT
cd "$work"

if ! { python3 -m venv venv && venv/bin/pip install --quiet --disable-pip-version-check -r "$here/fuzz-requirements.txt"; } >tools.log 2>&1; then
  tail -n 5 tools.log >&2
  echo 'fuzz: the tools cannot be had: see above' >&2
  exit 2
fi

"$binary" emulator --json --knob conversion_ms=0 >seeds.json 2>emulator.log &
emulator=$!
for ((tries = 0; tries < 100; tries++)); do
  [[ -s seeds.json ]] && break
  sleep 0.1
done
said() { venv/bin/python -c 'import json, sys; print(json.load(open("seeds.json"))[sys.argv[1]])' "$1"; }
url=$(said url)

echo "fuzz: $seconds s with seed $seed"
# Not checked: that what is well-formed is accepted (ids that do not exist, arrays in filters, for which OpenAPI has no words),
# and that what was made is found by a request that names other things too.
# One worker: CPython's parser, which the generator leans on, does not bear threads everywhere.
status=0
venv/bin/schemathesis --config-file "$here/fuzz.toml" --no-color run "${url%/app/v1}/openapi.json" \
  --header "api_key: $(said api_key)" --generation-with-security-parameters false \
  --checks all --exclude-checks positive_data_acceptance,ensure_resource_availability \
  --phases coverage,fuzzing,stateful --max-time "$seconds" --workers 1 --seed "$seed" \
  --max-redirects 0 --request-timeout 10 --generation-database none --warnings off \
  >report.txt 2>&1 || status=$?

if ((status != 0)); then
  cut -c 1-2000 report.txt
else
  sed -n '/Test cases:/,$p' report.txt
fi
if ! kill -0 "$emulator" 2>/dev/null; then
  echo 'fuzz: the emulator did not survive:' >&2
  status=1
fi
if grep -n 'panicked' emulator.log >&2; then
  status=1
fi
exit "$((status != 0))"
