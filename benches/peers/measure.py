"""Runs one command and writes down its wall time, peak memory and end.

    python -I -S measure.py RESULT.json LOG TIMEOUT RESERVE COMMAND...

A process of its own, and a small one: what Linux reports as a child's peak memory is never below what its parent had when it
forked, here some 10 MB. The peak is that of the largest process of the command's tree. After TIMEOUT seconds, or when less
than RESERVE bytes of the machine's memory are left, the command and its children are killed.
"""

import json
import os
import signal
import sys
import time

POLL_SECONDS = 0.25


def available_memory():
    with open("/proc/meminfo", encoding="ascii") as meminfo:
        for line in meminfo:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return sys.maxsize


def start(command, log):
    """Forks and executes; the child leads a session, so that all of it can be killed."""
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        # Should memory run out all the same, the kernel ends this process and no other.
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:
            score.write("1000")
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"{command[0]}: {error}\n".encode())
    os._exit(127)


def kill(child):
    try:
        os.killpg(child, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def run(command, log, timeout, reserve):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    begin = time.monotonic()
    child = start(command, log)
    stopped = None
    least = available_memory()
    try:
        while True:
            done, status, usage = os.wait4(child, os.WNOHANG)
            if done:
                break
            signal.sigtimedwait({signal.SIGCHLD}, POLL_SECONDS)
            least = min(least, available_memory())
            if stopped is None and time.monotonic() - begin > timeout:
                stopped = "timeout"
                kill(child)
            elif stopped is None and least < reserve:
                stopped = "memory"
                kill(child)
        seconds = time.monotonic() - begin
        # What the command has left behind.
        kill(child)
    except BaseException:
        kill(child)
        os.waitpid(child, 0)
        raise
    return {
        "seconds": seconds,
        "peak_bytes": usage.ru_maxrss * 1024,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "exit": os.waitstatus_to_exitcode(status),
        "stopped": stopped,
    }


def main():
    result, log, timeout, reserve, *command = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    measured = run(command, log, float(timeout), int(reserve))
    with open(result, "w", encoding="utf-8") as file:
        json.dump(measured, file)


if __name__ == "__main__":
    main()
