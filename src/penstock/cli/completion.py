"""`penstock completion`: what a shell needs to complete commands, options and values."""

import click
from click.shell_completion import get_completion_class

from penstock.cli.invocation import Invocation, fail, pass_invocation

#: where each shell reads it, as one line to put there
_INSTALL = {
    "bash": "echo 'eval \"$(penstock completion bash)\"' >> ~/.bashrc",
    "zsh": "echo 'eval \"$(penstock completion zsh)\"' >> ~/.zshrc",
    "fish": "penstock completion fish > ~/.config/fish/completions/penstock.fish",
}


@click.command(short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(list(_INSTALL)))
@pass_invocation
def completion(invocation: Invocation, /, shell: str) -> None:
    """Print the script that completes commands and options in SHELL.

    \b
    Install it once:
      echo 'eval "$(penstock completion bash)"' >> ~/.bashrc
      echo 'eval "$(penstock completion zsh)"' >> ~/.zshrc
      penstock completion fish > ~/.config/fish/completions/penstock.fish
    """
    kind = get_completion_class(shell)
    if kind is None:
        fail(f"No completion is known for {shell}", f"use one of {', '.join(_INSTALL)}")
    from penstock.cli.app import root

    made = kind(root, {}, "penstock", "_PENSTOCK_COMPLETE")
    try:
        invocation.say(made.source())
    except RuntimeError as error:  # a bash from before 4.4
        fail(str(error), "upgrade it")
