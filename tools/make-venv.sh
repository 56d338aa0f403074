#!/usr/bin/env bash
# Make the virtual environment $1 with the newest fitting Python of this machine, or say what is missing.
set -euo pipefail
venv=$1
old=() broken=()
for python in ${PYTHON:-} python3.13 python3.12 python3.11 python3; do
  # A version manager's stand-in for a Python that is not installed fails here too.
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
  if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    old+=("$python is $version")
  elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    broken+=("$version")
  else
    echo "Making $venv with Python $version ..."
    exec "$python" -m venv --clear "$venv"
  fi
done
if ((${#broken[@]})); then
  echo "Python ${broken[0]} is here without its venv module. Install it (Debian, Ubuntu: 'sudo apt-get install python${broken[0]}-venv'), then run 'make setup' again." >&2
else
  echo "caudal needs Python 3.11 or newer; found ${old[0]:-none}. Install one from your package manager, or name it: 'make setup PYTHON=/path/to/python3.12'." >&2
fi
exit 1
