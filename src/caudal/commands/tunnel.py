"""``caudal tunnel``: a port of this machine that leads through SSH to what only a bastion reaches."""

from __future__ import annotations

from collections.abc import Callable

from caudal.storage.ssh import Forwarding, forward, host_and_port, ssh_host


def open_tunnel(bastion: str, to: str, *, port: int, jump: str | None, say: Callable[[str], None]) -> None:
    """Forward a port on loopback to ``to`` through ``bastion`` until SIGINT or SIGTERM.

    Parameters
    ----------
    bastion, jump : ``[USER@]HOST[:PORT]``
    to : ``HOST:PORT``, as the bastion names it
    port : int, on loopback; 0 takes a free one
    say : is given each line that a user reads

    Raises
    ------
    DeclarationProblem : an address is not written as it must be
    EnvironmentProblem : a host is not reached or not known, the login is refused, the port is in use
    """
    host, target_port = host_and_port(to)
    through = ssh_host(jump) if jump is not None else None
    forward(Forwarding(ssh_host(bastion), host, target_port, port, through), say)
