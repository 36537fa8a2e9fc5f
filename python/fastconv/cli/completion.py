"""``fastconv completion``: prints a script that lets a shell complete commands, options and their values.

Put one of these into the shell's start file:

    source <(fastconv completion bash)              ~/.bashrc
    source <(fastconv completion zsh)               ~/.zshrc, after compinit
    fastconv completion fish | source               ~/.config/fish/config.fish
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastconv.cli import data

__all__ = ["add_parser", "run"]

_FILES = ("FILE", "DIR", "MODEL", "IMAGE", "NAME_OR_PATH")


@dataclass(frozen=True)
class Option:
    """An option of a command, as shells need it."""

    flag: str
    help: str
    takes_value: bool
    words: tuple[str, ...]
    files: bool


@dataclass(frozen=True)
class Command:
    """A command with its options, and what may stand without one."""

    name: str
    help: str
    options: tuple[Option, ...]
    words: tuple[str, ...]


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "completion",
        help="completion for a shell",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=tuple(_SHELLS), metavar="SHELL", help=f"one of {', '.join(_SHELLS)}")
    parser.set_defaults(run=run, commands=commands)


def run(args: argparse.Namespace) -> None:
    print(_SHELLS[args.shell](list(_commands(args.commands))))


def _commands(commands: Any) -> Iterator[Command]:
    helps = {action.dest: action.help or "" for action in commands._choices_actions}
    for name, parser in commands.choices.items():
        options: list[Option] = []
        words: list[str] = []
        for action in parser._actions:
            choices = tuple(action.choices or (data.NAMED if action.metavar == "NAME_OR_PATH" else ()))
            if action.option_strings:
                files = action.metavar in _FILES
                flag, takes_value = action.option_strings[-1], action.nargs != 0
                options.append(Option(flag, _plain(action.help or ""), takes_value, choices, files))
            else:
                words += choices
        yield Command(name, _plain(helps.get(name, "")), tuple(options), tuple(words))


def _plain(text: str) -> str:
    """Help in one line without what shells treat as their own."""
    return "".join(c for c in " ".join(text.split()) if c not in "'\"`$[]{}\\:")


def _bash(commands: list[Command]) -> str:
    values, options = [], []
    for command in commands:
        for option in command.options:
            if option.takes_value:
                words = f'COMPREPLY=($(compgen {"-f " if option.files else ""}-W "{" ".join(option.words)}" -- "$cur"))'
                values.append(f'    "{command.name} {option.flag}") {words}; return ;;')
        flags = " ".join(option.flag for option in command.options)
        options.append(f'    {command.name}) flags="{flags}" words="{" ".join(command.words)}" ;;')
    return "\n".join(
        [
            "_fastconv() {",
            '  local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" flags= words=',
            f'  if [ "$COMP_CWORD" -eq 1 ]; then COMPREPLY=($(compgen -W "{_names(commands)}" -- "$cur")); return; fi',
            '  case "${COMP_WORDS[1]} $prev" in',
            *values,
            "  esac",
            '  case "${COMP_WORDS[1]}" in',
            *options,
            "  esac",
            '  case "$cur" in',
            '    -*) COMPREPLY=($(compgen -W "$flags" -- "$cur")) ;;',
            '    *) if [ -n "$words" ]; then COMPREPLY=($(compgen -W "$words" -- "$cur"))',
            '       else COMPREPLY=($(compgen -f -- "$cur")); fi ;;',
            "  esac",
            "}",
            "complete -o filenames -F _fastconv fastconv",
        ]
    )


def _zsh(commands: list[Command]) -> str:
    described = " ".join(f"'{command.name}:{command.help}'" for command in commands)
    cases = []
    for command in commands:
        specs = []
        for option in command.options:
            action = f"({' '.join(option.words)})" if option.words else "_files" if option.files else " "
            if option.words and option.files:
                action = f"{{compadd -- {' '.join(option.words)}; _files}}"
            specs.append(f"'{option.flag}[{option.help}]{f':value:{action}' if option.takes_value else ''}'")
        specs.append(f"'*:value:({' '.join(command.words)})'" if command.words else "'*:file:_files'")
        cases.append(f"    {command.name}) _arguments {' '.join(specs)} ;;")
    return "\n".join(
        [
            "#compdef fastconv",
            "_fastconv() {",
            f"  local -a commands=({described})",
            "  if (( CURRENT == 2 )); then _describe command commands; return; fi",
            "  local command=$words[2]",
            "  shift words; (( CURRENT-- ))",
            "  case $command in",
            *cases,
            "  esac",
            "}",
            "compdef _fastconv fastconv",
        ]
    )


def _fish(commands: list[Command]) -> str:
    lines = []
    for command in commands:
        start = f"complete -c fastconv -n '__fish_seen_subcommand_from {command.name}'"
        lines.append(f"complete -c fastconv -f -n __fish_use_subcommand -a {command.name} -d '{command.help}'")
        for option in command.options:
            values = " -r" if option.takes_value else ""
            values += " -F" if option.files else " -f"
            values += f" -a '{' '.join(option.words)}'" if option.words else ""
            lines.append(f"{start} -l {option.flag.lstrip('-')}{values} -d '{option.help}'")
        if command.words:
            lines.append(f"{start} -f -a '{' '.join(command.words)}'")
    return "\n".join(lines)


def _names(commands: list[Command]) -> str:
    return " ".join(command.name for command in commands)


_SHELLS = {"bash": _bash, "zsh": _zsh, "fish": _fish}
