#!/usr/bin/env bash
# Install the packages of the lock file $2 into the virtual environment $1, each compared with its hash.
# pip knows this machine's settings (index, proxy, certificates). uv is quicker but does not read them, so it is used only where pip
# has no index or proxy of its own, and pip does the work when uv fails.
set -euo pipefail
venv=$1 lock=$2
python=$venv/bin/python
export PIP_DISABLE_PIP_VERSION_CHECK=1
echo "Installing $(grep -cE '^[a-z0-9].*==' "$lock") packages; the first time takes a few minutes ..."

with_uv() {
  local settings
  settings=$("$python" -m pip config list)
  if grep -qE 'index-url|no-index|proxy|find-links.*://' <<<"$settings"; then return 1; fi
  # The lock's own entry for uv, so that its hash is compared too.
  awk '/^[^ ]/ { take = /^uv==/ } take' "$lock" >"$venv/uv.txt"
  "$python" -m pip install --quiet --require-hashes -r "$venv/uv.txt" &&
    "$venv/bin/uv" pip install --quiet --python "$python" --require-hashes -r "$lock"
}

if ! with_uv 2>"$venv/uv.log"; then
  echo "Installing with pip ..."
  # Without --use-pep517 pip before 23.1 installs source distributions by setup.py, with a warning and without a list of their files.
  "$python" -m pip install --quiet --no-compile --use-pep517 --require-hashes -r "$lock"
fi
# On all cores, and without the packages' own tests, which are a fifth of what there is; what some package brings for another Python is left as it is.
"$python" -m compileall -qq -j 0 -x 'site-packages/.*/tests?/' "$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" || true
