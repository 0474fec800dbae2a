# For tests/run and tests/long: stages with their times, and what a machine may lack. Sourced by bash; asks nothing of standard input.
# Arguments of the script are names of stages: only those are run, and "build", if there is one.

script=$(realpath "$0")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null

lines=()   # one per stage, for the end
failed=0
only=("$@")

# What no line of the script names is a slip of the hand, and said before anything is built.
for name in ${only[@]+"${only[@]}"}; do
  if [ "$name" != build ] && ! grep -Eq "(stage|skipped|wanted) $name([ ;]|$)" "$script"; then
    echo "$0: there is no stage \"$name\"; its lines \"stage NAME\" name all" >&2
    exit 64
  fi
done

# wanted NAME: whether the stage is to be run.
wanted() {
  [ ${#only[@]} -eq 0 ] || [ "$1" = build ] || [[ " ${only[*]} " == *" $1 "* ]]
}

# stage NAME COMMAND…: runs the command, says how long it took, and goes on either way, so that one run shows every fault.
stage() {
  local name=$1 start=$SECONDS status=0 word=ok
  wanted "$name" || return 0
  shift
  printf '\n=== %s: %s\n' "$name" "$*"
  "$@" || status=$?
  if [ "$status" -ne 0 ]; then
    word="FAILED (exit $status)"
    failed=1
  fi
  lines+=("$(printf '%-24s %5d s  %s' "$name" $((SECONDS - start)) "$word")")
  printf '=== %s\n' "${lines[-1]}"
}

# tested [VARIABLE=VALUE…] COMMAND…: a `cargo test` of one program or by a filter, which has to run a test: a filter that matches none, since the
# test was renamed, would pass unseen.
tested() {
  local said status=0
  said=$(mktemp)
  env "$@" | tee "$said" || status=$?
  if [ "$status" -eq 0 ] && ! grep -q '^test result: ok\. [1-9]' "$said"; then
    echo "not one test was run: $*" >&2
    status=1
  fi
  rm -f "$said"
  return "$status"
}

# skipped NAME WHY: a stage that this machine cannot do. Said twice, so that nobody takes it for done.
skipped() {
  wanted "$1" || return 0
  lines+=("$(printf '%-24s     -    NOT CHECKED: %s' "$1" "$2")")
  printf '\n=== %s\n' "${lines[-1]}"
}

# needs COMMAND PACKAGE…: installs the Debian packages when the command is missing and we may, else says so and ends.
needs() {
  local command=$1
  shift
  if command -v "$command" >/dev/null; then
    return
  fi
  if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    echo "installing $* for \`$command\`"
    export DEBIAN_FRONTEND=noninteractive
    if apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@" && command -v "$command" >/dev/null; then
      return
    fi
  fi
  echo "missing: \`$command\`, from the Debian package(s) $*. Install with: apt-get install $*" >&2
  exit 1
}

# The table of stages, and the exit code.
finish() {
  printf '\n'
  printf '%s\n' "${lines[@]}"
  if [ "$failed" -ne 0 ]; then
    echo "$0: FAILED after $SECONDS s"
    exit 1
  fi
  echo "$0: passed in $SECONDS s"
}
