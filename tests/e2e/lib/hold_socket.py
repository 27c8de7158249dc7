#!/usr/bin/env python3
"""Holds a listening socket across restarts of a server, as a supervisor with socket activation does.

    hold_socket.py PORT PROGRAM [ARGUMENT...]

The program gets the socket as file descriptor 3, with LISTEN_FDS and LISTEN_PID set. SIGUSR1 replaces the program: the
running process gets SIGTERM, and the next one starts once it has ended. Connections made in between wait in the backlog.
SIGTERM ends both. If the program ends on its own, this one ends too, with the same status.
"""
import os
import signal
import socket
import sys

LISTEN_FD = 3


def start(listener, command):
    pid = os.fork()
    if pid:
        return pid
    try:
        if listener.fileno() != LISTEN_FD:
            os.dup2(listener.fileno(), LISTEN_FD)
        os.set_inheritable(LISTEN_FD, True)
        environment = dict(os.environ, LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.execvpe(command[0], command, environment)
    except OSError as error:
        print(f"hold_socket: cannot run {command[0]}: {error}", file=sys.stderr)
    os._exit(127)


def wait_for(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main():
    port, command = int(sys.argv[1]), sys.argv[2:]
    signals = [signal.SIGUSR1, signal.SIGTERM, signal.SIGCHLD]
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    listener = socket.create_server(("127.0.0.1", port), backlog=128)

    child = start(listener, command)
    while True:
        received = signal.sigwait(signals)
        if received == signal.SIGUSR1:
            os.kill(child, signal.SIGTERM)
            status = wait_for(child)
            if status != 0:
                sys.exit(f"hold_socket: the program ended with {status} when it was asked to stop")
            child = start(listener, command)
            print(f"hold_socket: replaced, now {child}", file=sys.stderr, flush=True)
        elif received == signal.SIGTERM:
            os.kill(child, signal.SIGTERM)
            sys.exit(max(wait_for(child), 0))
        else:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                sys.exit(max(os.waitstatus_to_exitcode(status), 1))


main()
