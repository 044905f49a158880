"""A script of measuring steps: each step's name, what it should show, and a command whose output goes to a file of that name."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kvmc_targets.texts import comment


class Shell(str):
    """A word that the shell is to expand: ours, never the user's."""

    __slots__ = ()


SECONDS = Shell('"$seconds"')
PID = Shell('"$pid"')


def output(name: str) -> Shell:
    """A file in the folder of results."""
    return Shell(f'"$folder/{name}"')


@dataclass(frozen=True, slots=True)
class Step:
    """name: that of the file with its output. shows: what is to be seen in it, for people. needs: where a disk's directory is given
    on the command line, the disk."""

    name: str
    shows: str
    run: tuple[str, ...]
    needs: str | None = None


_HEAD = """\
set -u
folder=${1:-@folder@}
seconds=${KVMC_SECONDS:-60}
KVMC_SECONDS=$seconds
export KVMC_SECONDS
mkdir -p -- "$folder" || exit 1
failed=0
step() {
  name=$1
  printf '%s\\n  should show: %s\\n' "$1" "$2"
  shift 2
  if ! "$@" > "$folder/$name" 2> "$folder/$name.err"; then
    printf '  failed, see %s\\n' "$folder/$name.err" >&2
    failed=1
  fi
}
"""

_DIRECTORY = """\
directory_of() {
  wanted=$1
  shift
  for word in "$@"; do
    case $word in
      "$wanted"=*) KVMC_DIRECTORY=${word#*=} && export KVMC_DIRECTORY && return ;;
    esac
  done
  printf '%s: left out; give %s=DIRECTORY, where its file system is mounted\\n' "$wanted" "$wanted"
  return 1
}
[ "$#" = 0 ] || shift
"""


def script(heads: Iterable[str], folder: str, steps: Sequence[Step], first: Sequence[str] = ()) -> str:
    """The text. heads: what the script is, a line each. folder: where results go unless the user names another. first: lines
    that are run before the steps."""
    lines = ["#!/bin/sh", *map(comment, heads), *_HEAD.replace("@folder@", folder).splitlines()]
    if any(step.needs for step in steps):
        lines += _DIRECTORY.splitlines()
    lines += first
    for step in steps:
        call = " ".join(("step", step.name, shlex.quote(step.shows), *map(_word, step.run)))
        lines.append(f'directory_of {step.needs} "$@" && {call}' if step.needs else call)
    return "\n".join((*lines, 'exit "$failed"')) + "\n"


def _word(word: str) -> str:
    return word if isinstance(word, Shell) else shlex.quote(word)
