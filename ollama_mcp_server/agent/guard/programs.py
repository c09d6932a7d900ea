"""Programs that are not started as servers, and those that would start them for others."""

import re
from dataclasses import dataclass

#: Programs that are not started, by what they are.
BLOCKED = {
    "a shell": "sh bash zsh dash ksh mksh lksh yash posh ash rbash fish csh tcsh pwsh powershell "
    "cmd elvish nu xonsh wsl",
    "for another user's rights": "sudo su doas pkexec runuser gosu su-exec sg run0 capsh runas",
    "for destroying": "rm rmdir mkfs unlink dd shred wipe wipefs fdisk sfdisk parted mkswap format "
    "del erase kill killall pkill shutdown reboot halt poweroff",
    "for the network": "curl wget nc ncat netcat nc.openbsd nc.traditional socat telnet ssh scp "
    "sftp rsync ftp tftp",
    "for running other commands": "eval exec source xargs parallel find awk gawk mawk nawk expect "
    "script watch at batch crontab systemd-run tmux screen wscript cscript mshta rundll32",
}
WHY = {name: why for why, names in BLOCKED.items() for name in names.split()}
SHELLS = frozenset(BLOCKED["a shell"].split())


@dataclass(frozen=True)
class Options:
    """How a program reads the words before the command, or the script, that it runs."""

    #: Options that take the next word, and those whose value is code.
    values: frozenset[str] = frozenset()
    code: frozenset[str] = frozenset()
    #: Long options that take none; of others the next word may be the value, or the command.
    flags: frozenset[str] = frozenset()
    #: Words of its own before the command, and whether what follows is a command.
    skip: int = 0
    runs: bool = True


def _of(
    values: str = "", code: str = "", flags: str = "", *, skip: int = 0, runs: bool = True
) -> Options:
    return Options(
        frozenset(values.split()), frozenset(code.split()), frozenset(flags.split()), skip, runs
    )


NPM = _of(
    "-p --package -w --workspace --prefix --registry --cache --userconfig",
    "-c --call --shell-mode",
    "--yes --no --quiet --silent --offline --prefer-offline --no-install --ignore-existing",
)
_UV = _of(
    "-p --python --with --with-editable --with-requirements --extra --group --only-group "
    "--no-extra --no-group --env-file --package --index --default-index -i --index-url -f "
    "--extra-index-url --find-links --directory --project --config-file --cache-dir --color "
    "--from -w -c --constraints --overrides -P --upgrade-package --refresh-package -m --module",
    "",
    "--isolated --quiet --verbose --offline --no-cache --refresh --reinstall --upgrade --frozen "
    "--locked --no-project --no-sync --active --exact --native-tls --no-config --no-dev "
    "--all-extras --all-groups --no-index --script --no-env-file --no-progress",
)
_NODE = _of(
    "-r --require --import --loader --experimental-loader -C --conditions --title",
    "-e -p --eval --print",
    runs=False,
)
PYTHON = _of("-W -X -m --check-hash-based-pycs", "-c", runs=False)

#: What runs another command, or code that is given in a word.
OPTIONS = {
    "env": _of("-u -C -a -P --unset --chdir --argv0", "", "--ignore-environment --debug"),
    "nohup": _of(),
    "nice": _of("-n --adjustment"),
    "ionice": _of("-c -n -p -P -u --class --classdata", "", "--ignore"),
    "timeout": _of("-k -s --kill-after --signal", "", "--foreground --verbose", skip=1),
    "time": _of("-f -o --format --output", "", "--append --portability --verbose"),
    "setsid": _of("", "", "--ctty --fork --wait"),
    "stdbuf": _of("-i -o -e --input --output --error"),
    "busybox": _of(),
    "toybox": _of(),
    "command": _of(),
    "chroot": _of("-g -G -u --groups --userspec", "", "--skip-chdir", skip=1),
    "unshare": _of("-S -G -R -w --setuid --setgid --root --wd", "", "--fork --map-root-user"),
    "strace": _of("-a -b -e -E -I -o -O -p -P -s -S -u -U -X"),
    "ltrace": _of("-a -A -D -e -F -l -n -o -p -s -u -w -x"),
    "taskset": _of("-p", skip=1),
    "chrt": _of("-p -T -P -D", skip=1),
    "flock": _of("-w -E --timeout --conflict-exit-code", "-c --command", skip=1),
    "numactl": _of("-i -N -m -C -p --interleave --cpunodebind --membind --physcpubind"),
    "npx": NPM,
    "npm": NPM,
    "pnpm": NPM,
    "pnpx": NPM,
    "yarn": NPM,
    "bunx": NPM,
    "uv": _UV,
    "uvx": _UV,
    "pipx": _of("--spec --python --pip-args --index-url", "", "--verbose --quiet"),
    "poetry": _of("-C -P --directory --project"),
    "conda": _of("-n -p --name --prefix --cwd", "", "--no-capture-output --live-stream"),
    "bun": _of("-r --preload --cwd --env-file", "-e -p --eval --print", "--bun --silent"),
    "node": _NODE,
    "tsx": _NODE,
    "ts-node": _NODE,
    "deno": _of("-c --config --import-map", "--eval", runs=False),
    "python": PYTHON,
    "pypy": PYTHON,
    "ipython": PYTHON,
    "py": PYTHON,
    "perl": _of("-I", "-e -E", runs=False),
    "ruby": _of("-I -r -C -E", "-e", runs=False),
    "php": _of("-c -d -f -F -S -t -z", "-r -R -B -E --run --process-code", runs=False),
    "lua": _of("-l", "-e", runs=False),
    "rscript": _of("", "-e", runs=False),
    "julia": _of("-C -J -L -p -t --project", "-e -E --eval --print", runs=False),
    "elixir": _of("-r -S --rpc-eval", "-e --eval", runs=False),
    "osascript": _of("-l -s", "-e", runs=False),
    "guile": _of("-L -l", "-c", runs=False),
}
SAME = {"nodejs": "node", "pythonw": "python", "luajit": "lua", "raku": "perl", "r": "rscript"}
#: Runners of packages, and their words before the command that they run.
RUNNERS = frozenset(("npm", "pnpm", "yarn", "bun", "deno", "uv", "pipx", "poetry", "conda"))
SUBCOMMANDS = frozenset(("run", "tool", "exec", "dlx", "x"))
SCRIPT = re.compile(r"\.(py|pyw|[cm]?[jt]sx?|rb|pl|php|lua|r|jl|exs?|scm)$", re.IGNORECASE)

#: Programs whose commands run inside of a box, and are not looked at.
CONTAINERS = frozenset(("docker", "podman", "nerdctl"))
_SUFFIX = re.compile(r"(\.(exe|cmd|bat|com))+$")
_VERSION = re.compile(r"[-_]?\d+(\.\d+)*$")


def names(word: str) -> list[str]:
    """Return the names that a program may be known by: without folder, suffix and version."""
    base = re.split(r"[\\/]", word.strip().rstrip(". "))[-1].lower()
    name = _SUFFIX.sub("", base)
    return list(dict.fromkeys((name, _VERSION.sub("", name), base)))
